/* The table of hypercalls, and multicall, which goes through it. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/sched.h>
#include "pv/abi.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/continuation.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/entry.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/work.h"

static int64_t no_such_hypercall(void)
{
    return -ENOSYS;
}

/* The handlers take fewer arguments than the caller passes; the x86-64 ABI allows it. */
#define HANDLER(fn) ((hypercall_fn *)(void *)(fn))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* the first line, by those below it */
hypercall_fn *const hypercall_table[NR_HYPERCALLS] = {
    [0 ... NR_HYPERCALLS - 1] = HANDLER(no_such_hypercall),
    [__HYPERVISOR_set_trap_table] = HANDLER(hypercall_set_trap_table),
    [__HYPERVISOR_mmu_update] = HANDLER(hypercall_mmu_update),
    [__HYPERVISOR_stack_switch] = HANDLER(hypercall_stack_switch),
    [__HYPERVISOR_set_callbacks] = HANDLER(hypercall_set_callbacks),
    [__HYPERVISOR_memory_op] = HANDLER(hypercall_memory_op),
    [__HYPERVISOR_multicall] = HANDLER(hypercall_multicall),
    [__HYPERVISOR_update_va_mapping] = HANDLER(hypercall_update_va_mapping),
    [__HYPERVISOR_set_timer_op] = HANDLER(hypercall_set_timer_op),
    [__HYPERVISOR_xen_version] = HANDLER(hypercall_xen_version),
    [__HYPERVISOR_console_io] = HANDLER(hypercall_console_io),
    [__HYPERVISOR_update_va_mapping_otherdomain] = HANDLER(hypercall_update_va_mapping_otherdomain),
    [__HYPERVISOR_iret] = HANDLER(entry_iret),
    [__HYPERVISOR_vcpu_op] = HANDLER(hypercall_vcpu_op),
    [__HYPERVISOR_set_segment_base] = HANDLER(hypercall_set_segment_base),
    [__HYPERVISOR_mmuext_op] = HANDLER(hypercall_mmuext_op),
    [__HYPERVISOR_sched_op] = HANDLER(hypercall_sched_op),
    [__HYPERVISOR_callback_op] = HANDLER(hypercall_callback_op),
    [__HYPERVISOR_event_channel_op] = HANDLER(hypercall_event_channel_op),
    [__HYPERVISOR_physdev_op] = HANDLER(hypercall_physdev_op),
    [PARVUS_HYPERCALL_SEAL] = HANDLER(hypercall_seal),
};
/*
 * What calling each takes off the slice, beside what it takes for itself. 0: not as it is in a
 * multicall, because it leaves, blocks or nests.
 */
static const uint8_t call_work[NR_HYPERCALLS] = {
    [0 ... NR_HYPERCALLS - 1] = 8,        [__HYPERVISOR_mmu_update] = 1,
    [__HYPERVISOR_mmuext_op] = 1,         [__HYPERVISOR_xen_version] = 2,
    [__HYPERVISOR_update_va_mapping] = 5, [__HYPERVISOR_update_va_mapping_otherdomain] = 5,
    [__HYPERVISOR_multicall] = 0,         [__HYPERVISOR_iret] = 0,
    [__HYPERVISOR_sched_op] = 0,
};
#pragma GCC diagnostic pop

struct work work = {.mmu_slice = WORK_SLICE};

#define WORK_NO_CALL 2

/* A yield does neither of these. */
static int64_t call_other(uint64_t number, uint64_t first_arg)
{
    work.left -= WORK_NO_CALL;
    if (number == __HYPERVISOR_sched_op && (uint32_t)first_arg == SCHEDOP_yield)
        return hypercall_sched_op(first_arg, 0);
    return number == __HYPERVISOR_multicall ? -EINVAL : -ENOSYS;
}

static int64_t continue_at(uint64_t at, uint64_t end)
{
    const uint64_t args[] = {at, (end - at) / sizeof(struct multicall_entry)};

    work.is_shared = 0;
    return continuation_make(__HYPERVISOR_multicall, args, 2);
}

/*
 * The slice is used up in the call at `at`: either it goes on in the next one, with the arguments
 * that it has left then, or it has a result.
 */
__attribute__((noinline, cold)) static int64_t stop_at(uint64_t at, uint64_t end, int64_t result)
{
    int error = 0;

    if (continuation.is_pending) {
        continuation.is_pending = 0;
        for (unsigned int i = 0; i < continuation.nr_args; i++)
            guest_store64_in_range(at + 16 + i * 8, continuation.args[i], &error);
    } else {
        guest_store64_in_range(at + 8, (uint64_t)result, &error);
        at += sizeof(struct multicall_entry);
    }
    if (error)
        return -EFAULT;
    return at == end ? 0 : continue_at(at, end);
}

static int64_t call_all(uint64_t at, uint64_t end)
{
    uint64_t number, args[5];

    for (; at != end; at += sizeof(struct multicall_entry)) {
        if (guest_read64_in_range(at, &number) ||
            guest_read128_in_range(at + 16, &args[0], &args[1]) ||
            guest_read128_in_range(at + 32, &args[2], &args[3]) ||
            guest_read64_in_range(at + 48, &args[4]))
            return -EFAULT;

        int64_t result;

        if (number < NR_HYPERCALLS && call_work[number]) {
            work.left -= call_work[number];
            result = hypercall_table[number](args[0], args[1], args[2], args[3], args[4]);
        } else {
            result = call_other(number, args[0]);
        }
        if (work.left < 0)
            return stop_at(at, end, result);
        if (guest_write64_in_range(at + 8, (uint64_t)result))
            return -EFAULT;
    }
    return 0;
}

/*
 * xen.h, multicall_entry: each call's result goes to its entry; the calls go on after one that
 * failed.
 */
int64_t hypercall_multicall(uint64_t calls, uint64_t count)
{
    uint64_t bytes = (uint32_t)count * sizeof(struct multicall_entry);

    work_begin(work.mmu_slice);
    if (work.left < 0) {
        work.left = WORK_SLICE;
        if (pagetable_release())
            return continue_at(calls, calls + bytes);
    }
    if (!guest_range_is_ok(calls, bytes))
        return -EFAULT;
    work.is_shared = 1;

    int64_t error = call_all(calls, calls + bytes);

    work.is_shared = 0;
    return error;
}
