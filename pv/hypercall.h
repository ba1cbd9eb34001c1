/*
 * Typed hypercalls (private to pv/). A call goes through the hypercall page, which the hypervisor
 * filled for its host (xen-x86_64.h): arguments in rdi, rsi, rdx, r10, r8, all clobbered; result in
 * rax, negative for an error in Xen's own numbers, which pv_errno translates.
 */
#ifndef PV_HYPERCALL_H
#define PV_HYPERCALL_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "pv/abi.h"

#define HYPERCALL_BYTES 32 /* each entry of the hypercall page */

#define HYPERCALL_TARGET "call hypercall_page + %c[entry]"
#define HYPERCALL_ENTRY(number) [entry] "i"((number)*HYPERCALL_BYTES)

#define hypercall1(number, a1)                                                                     \
    ({                                                                                             \
        long result_;                                                                              \
        uint64_t a1_ = (uint64_t)(a1);                                                             \
        asm volatile(HYPERCALL_TARGET                                                              \
                     : "=a"(result_), "+D"(a1_)                                                    \
                     : HYPERCALL_ENTRY(number)                                                     \
                     : "memory");                                                                  \
        result_;                                                                                   \
    })

#define hypercall2(number, a1, a2)                                                                 \
    ({                                                                                             \
        long result_;                                                                              \
        uint64_t a1_ = (uint64_t)(a1), a2_ = (uint64_t)(a2);                                       \
        asm volatile(HYPERCALL_TARGET                                                              \
                     : "=a"(result_), "+D"(a1_), "+S"(a2_)                                         \
                     : HYPERCALL_ENTRY(number)                                                     \
                     : "memory");                                                                  \
        result_;                                                                                   \
    })

#define hypercall3(number, a1, a2, a3)                                                             \
    ({                                                                                             \
        long result_;                                                                              \
        uint64_t a1_ = (uint64_t)(a1), a2_ = (uint64_t)(a2), a3_ = (uint64_t)(a3);                 \
        asm volatile(HYPERCALL_TARGET                                                              \
                     : "=a"(result_), "+D"(a1_), "+S"(a2_), "+d"(a3_)                              \
                     : HYPERCALL_ENTRY(number)                                                     \
                     : "memory");                                                                  \
        result_;                                                                                   \
    })

#define hypercall4(number, a1, a2, a3, a4)                                                         \
    ({                                                                                             \
        long result_;                                                                              \
        uint64_t a1_ = (uint64_t)(a1), a2_ = (uint64_t)(a2), a3_ = (uint64_t)(a3);                 \
        register uint64_t a4_ asm("r10") = (uint64_t)(a4);                                         \
        asm volatile(HYPERCALL_TARGET                                                              \
                     : "=a"(result_), "+D"(a1_), "+S"(a2_), "+d"(a3_), "+r"(a4_)                   \
                     : HYPERCALL_ENTRY(number)                                                     \
                     : "memory");                                                                  \
        result_;                                                                                   \
    })

/* A Xen error result (negative) as newlib numbers it; results >= 0 pass unchanged. */
int pv_errno(long result);

static inline long hypervisor_set_trap_table(const struct trap_info *traps)
{
    return hypercall1(__HYPERVISOR_set_trap_table, traps);
}

static inline long hypervisor_set_callbacks(const void *event, const void *failsafe)
{
    return hypercall3(__HYPERVISOR_set_callbacks, event, failsafe, 0);
}

static inline long hypervisor_stack_switch(unsigned long ss, const void *top)
{
    return hypercall2(__HYPERVISOR_stack_switch, ss, top);
}

static inline long hypervisor_set_segment_base(unsigned which, uintptr_t base)
{
    return hypercall2(__HYPERVISOR_set_segment_base, which, base);
}

static inline long hypervisor_multicall(struct multicall_entry *calls, unsigned count)
{
    return hypercall2(__HYPERVISOR_multicall, calls, count);
}

/* No done count: one failure undoes the caller's whole operation. */
static inline long hypervisor_mmu_update(const void *updates, unsigned count)
{
    return hypercall4(__HYPERVISOR_mmu_update, updates, count, 0, DOMID_SELF);
}

static inline long hypervisor_update_va_mapping(uintptr_t va, uint64_t entry, unsigned long flags)
{
    return hypercall3(__HYPERVISOR_update_va_mapping, va, entry, flags);
}

static inline long hypervisor_seal(uintptr_t start, uintptr_t end)
{
    return hypercall2(PARVUS_HYPERCALL_SEAL, start, end);
}

static inline long hypervisor_event_channel_op(int op, void *argument)
{
    return hypercall2(__HYPERVISOR_event_channel_op, op, argument);
}

static inline long hypervisor_physdev_op(int op, void *argument)
{
    return hypercall2(__HYPERVISOR_physdev_op, op, argument);
}

static inline long hypervisor_sched_op(int op, void *argument)
{
    return hypercall2(__HYPERVISOR_sched_op, op, argument);
}

static inline long hypervisor_set_timer_op(uint64_t deadline_ns)
{
    return hypercall1(__HYPERVISOR_set_timer_op, deadline_ns);
}

static inline long hypervisor_vcpu_op(int op, unsigned vcpu, void *argument)
{
    return hypercall3(__HYPERVISOR_vcpu_op, op, vcpu, argument);
}

/* Through a multicall, as it has more arguments than the other calls. */
static inline long hypervisor_mmuext_op(const struct mmuext_op *ops, unsigned count)
{
    struct multicall_entry call = {.op = __HYPERVISOR_mmuext_op,
                                   .args = {(unsigned long)ops, count, 0, DOMID_SELF}};
    long error = hypervisor_multicall(&call, 1);

    return error ? error : (long)call.result;
}

static inline long hypervisor_memory_op(int op, void *argument)
{
    return hypercall2(__HYPERVISOR_memory_op, op, argument);
}

static inline long hypervisor_xen_version(int op, void *argument)
{
    return hypercall2(__HYPERVISOR_xen_version, op, argument);
}

static inline long hypervisor_console_io(int op, size_t bytes, const char *buffer)
{
    return hypercall3(__HYPERVISOR_console_io, op, bytes, buffer);
}

#endif
