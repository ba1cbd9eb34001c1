/*
 * The same privileged operation with the hypervisor's help, as a trap, and with none; and what a
 * trap costs that the guest handles itself.
 *
 * Setting the base of %fs: HYPERVISOR_set_segment_base, or wrfsbase where ring 3 may. Masking
 * events, which is cli and sti elsewhere: a byte of shared memory. A guest may hold no instruction
 * that traps by being privileged (tools/check/privileged), so trap.* raises its exceptions by
 * harmless ones: hypervisor, guest's handler and back is the least that emulation would cost.
 *
 * Ring 3. ABI: xen-x86_64.h (set_segment_base).
 */
#include "apps/pvbench/pvbench.h"

#include <stddef.h>

#include "apps/pvbench/bench.h"
#include "kernel/fault.h"
#include "pv/hypercall.h"
#include "pv/pv.h"

#define CALLS 256
#define NON_CANONICAL 0x8000000000000000ul
#define UNMAPPED 0x1000ul

/* This thread's own base: %fs:0 holds it (kernel/thread.h). */
static uintptr_t fs_base(void)
{
    uintptr_t base;

    asm("mov %%fs:0, %0" : "=r"(base));
    return base;
}

static void fsbase_hypercall(unsigned n, void *base)
{
    while (n--)
        hypervisor_set_segment_base(SEGBASE_FS, (uintptr_t)base);
}

static void fsbase_native(unsigned n, void *base)
{
    while (n--)
        asm volatile("wrfsbase %0" : : "r"(base) : "memory");
}

static void fsbase_native_once(void *base)
{
    fsbase_native(1, base);
}

static void mask_native(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        pv_events_restore(pv_events_mask());
}

static void invalid_opcode(void *arg)
{
    (void)arg;
    asm volatile("ud2");
}

static void breakpoint(void *arg)
{
    (void)arg;
    asm volatile("int3");
}

static void touch(void *address)
{
    *(volatile char *)address;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* What is tried, and what with. */
struct attempt {
    void (*fn)(void *);
    void *arg;
};

static void attempts(unsigned n, void *arg)
{
    const struct attempt *attempt = arg;
    struct fault fault;

    while (n--)
        fault_catch(attempt->fn, attempt->arg, &fault);
}

void bench_privileged(void)
{
    void *base = (void *)fs_base();
    struct fault fault;

    bench_loop("fsbase.hypercall", CALLS, fsbase_hypercall, base);
    if (fault_catch(fsbase_native_once, base, &fault))
        bench_missing("fsbase.native", "wrfsbase is not for ring 3 here");
    else
        bench_loop("fsbase.native", CALLS, fsbase_native, base);
    bench_loop("mask.native", CALLS, mask_native, NULL);
    bench_loop("trap.none", CALLS, attempts, &(struct attempt){nothing, NULL});
    bench_loop("trap.invalid_opcode", CALLS, attempts, &(struct attempt){invalid_opcode, NULL});
    bench_loop("trap.breakpoint", CALLS, attempts, &(struct attempt){breakpoint, NULL});
    bench_loop("trap.protection", CALLS, attempts, &(struct attempt){touch, (void *)NON_CANONICAL});
    bench_loop("trap.page_fault", CALLS, attempts, &(struct attempt){touch, (void *)UNMAPPED});
}
