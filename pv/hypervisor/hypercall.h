/*
 * The hypercalls' handlers, one file a family; hypercall_table (hypercall.c) lists them by number.
 *
 * Called from entry.S on the guest's page tables with up to five arguments in Xen's order; each
 * returns Xen's result or a negative error. Guest pointers are guest-virtual addresses. Ring 0.
 */
#ifndef HYPERVISOR_HYPERCALL_H
#define HYPERVISOR_HYPERCALL_H

#include <stdint.h>
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/guest_memory.h"

typedef int64_t hypercall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* mmu_op.c */
int64_t hypercall_mmu_update(uint64_t requests, uint64_t count, uint64_t done_out, uint64_t domid);
int64_t hypercall_update_va_mapping(uint64_t virtual, uint64_t entry, uint64_t flags);
int64_t hypercall_update_va_mapping_otherdomain(uint64_t virtual, uint64_t entry, uint64_t flags,
                                                uint64_t domid);
int64_t hypercall_seal(uint64_t start, uint64_t end);
int64_t hypercall_mmuext_op(uint64_t ops, uint64_t count, uint64_t done_out, uint64_t domid);
/* memory_op.c */
int64_t hypercall_memory_op(uint64_t command, uint64_t arg);
/* trap.c */
int64_t hypercall_set_trap_table(uint64_t table);
/* callback.c */
int64_t hypercall_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall);
int64_t hypercall_callback_op(uint64_t command, uint64_t arg);
int64_t hypercall_stack_switch(uint64_t ss, uint64_t rsp);
int64_t hypercall_set_segment_base(uint64_t which, uint64_t base);
/* Changes the guest's frame, by which the caller then leaves: entry_iret of entry.S. */
void hypercall_iret(void);
/* event.c */
int64_t hypercall_event_channel_op(uint64_t command, uint64_t arg);
/* sched_op.c */
int64_t hypercall_sched_op(uint64_t command, uint64_t arg);
int64_t hypercall_set_timer_op(uint64_t deadline_ns);
int64_t hypercall_vcpu_op(uint64_t command, uint64_t vcpu, uint64_t arg);
/* version.c */
int64_t hypercall_xen_version(uint64_t command, uint64_t arg);
/* console_io.c */
int64_t hypercall_console_io(uint64_t command, uint64_t count, uint64_t buffer);
/* physdev_op.c */
int64_t hypercall_physdev_op(uint64_t command, uint64_t arg);
/* hypercall.c */
int64_t hypercall_multicall(uint64_t calls, uint64_t count);

/* Whether a domain id means the caller itself. */
static inline int domid_is_self(uint64_t domid)
{
    return (uint32_t)domid == 0x7ff0 || (uint32_t)domid == 0; /* DOMID_SELF, or its number */
}

#endif
