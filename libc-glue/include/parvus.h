/*
 * What a program may ask of the system it runs on, where POSIX has no words for it.
 * Present on Parvus only (__parvus__).
 */
#ifndef PARVUS_H
#define PARVUS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct parvus_info {
    const char *hypervisor; /* "Parvus" or "Xen" */
    const char *interface;  /* of the hypervisor, as it calls it: "xen-3.0-x86_64" */
    bool initial_domain;    /* drives the machine's devices itself */
    bool wx_enforced;       /* the hypervisor refuses memory both writable and executable */
    bool fault_stack;       /* ... and reports stack overflows */
    uint64_t tsc_hz;        /* of the clock that is read without a hypercall */
    uint64_t uptime_ns;
    uint64_t memory_bytes, memory_free_bytes;
    uint64_t heap_bytes, heap_used_bytes; /* of malloc */
    uint64_t initrd_bytes;
    unsigned processors;
};
void parvus_info(struct parvus_info *out);

/*
 * Before the program's first constructor the system is sealed: nothing becomes executable any more,
 * whoever asks for it. A program that makes code as it runs (a JIT compiler) leaves the seal off by
 * defining this constant itself, as true. W^X holds in any case.
 */
extern const bool parvus_makes_code;

/* Network interfaces: in an image without sockets there are none. */
struct parvus_interface {
    char name[16];
    bool is_up, is_loopback, is_broken, has_dhcp;
    uint8_t mac[6];
    unsigned mtu_bytes;
    unsigned nr_addresses;
    char addresses[8][48]; /* as text, with the prefix's length: "10.0.2.15/24" */
    uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
    uint64_t interrupts, kicks; /* events from the device; notifications to it */
};
/* The n-th one, from 0. False: there are no more. */
bool parvus_interface(unsigned n, struct parvus_interface *out);

#ifdef __cplusplus
}
#endif

#endif
