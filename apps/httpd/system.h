/*
 * What is known of the machine below: on Parvus by <parvus.h>, on Linux by what it has for the
 * same.
 */
#ifndef HTTPD_SYSTEM_H
#define HTTPD_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#define SYSTEM_INTERFACES 16
#define SYSTEM_ADDRESSES 8

struct system_interface {
    char name[16];
    bool is_up, is_loopback;
    char note[32]; /* "DHCP", "broken", ... or empty */
    char mac[20];  /* or empty */
    unsigned mtu_bytes;
    unsigned nr_addresses;
    char addresses[SYSTEM_ADDRESSES][48];
    uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
    uint64_t interrupts, kicks; /* 0 where nobody counts them */
};

/* Something to tell under a name, in this order. */
struct system_fact {
    const char *name;
    char value[128];
};

struct system {
    const char *kind;       /* "Parvus" or "Linux" */
    const char *hypervisor; /* "Parvus", "Xen", or "none" */
    uint64_t uptime_ms;     /* of the machine */
    uint64_t memory_bytes, memory_free_bytes;
    uint64_t heap_bytes, heap_used_bytes; /* of malloc */
    unsigned nr_facts;
    struct system_fact facts[12];
    unsigned nr_interfaces;
    struct system_interface interfaces[SYSTEM_INTERFACES];
};

void system_read(struct system *out);

#endif
