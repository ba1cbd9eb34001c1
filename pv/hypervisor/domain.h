/*
 * The domain: the one guest, with its one vCPU so far. Ring 0.
 */
#ifndef HYPERVISOR_DOMAIN_H
#define HYPERVISOR_DOMAIN_H

#include <stdint.h>
#include <xen/xen.h>
#include "boot/boot.h"
#include "pv/hypervisor/memory.h"

#define NR_TRAPS 256

/* A virtual CPU's registered entry points and stack. */
struct vcpu {
    uint64_t event_callback;    /* guest-virtual; 0: none */
    uint64_t failsafe_callback; /* kept for the guest; nothing here can need it */
    uint64_t syscall_callback;  /* likewise: there is no guest user mode */
    uint64_t kernel_rsp;        /* HYPERVISOR_stack_switch; see PARVUS_FEATURE_FAULT_STACK */
    struct trap_info traps[NR_TRAPS];
};

struct domain {
    struct shared_info *shared_info;
    uint64_t nr_pages;
    uint32_t features;      /* PARVUS_FEATURE_* that the guest asked for and has */
    uint32_t shutdown_code; /* latched by SCHEDOP_shutdown_code: reason | status << 8 */
    int has_shutdown_code;
    struct vcpu vcpu;
};

extern struct domain domain;

/* The vCPU that runs on this CPU. */
static inline struct vcpu *this_vcpu(void)
{
    return &domain.vcpu;
}

/* The parts that the rest of the hypervisor needs at boot: shared_info and this CPU's vCPU. */
void domain_init(void);

/*
 * Build the domain from a guest ELF as Xen does (xen.h, "Start-of-day memory layout") out of
 * `memory`, with an optional initrd. Leaves the guest's first frame in guest_frame(). No return
 * when the guest cannot be used.
 */
void domain_build(const struct boot_range *guest, const char *command_line,
                  const struct boot_range *initrd, const struct free_list *memory);

#endif
