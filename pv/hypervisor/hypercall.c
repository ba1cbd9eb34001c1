/* The table of hypercalls, and multicall, which goes through it. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/sched.h>
#include "pv/abi.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/entry.h"
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
#pragma GCC diagnostic pop

struct work work;

/* Not what leaves or blocks, nor nesting: a batch must end. A yield does neither. */
static int is_batchable(uint64_t number, uint64_t first_arg)
{
    return number < NR_HYPERCALLS && number != __HYPERVISOR_multicall &&
           number != __HYPERVISOR_iret &&
           (number != __HYPERVISOR_sched_op || (uint32_t)first_arg == SCHEDOP_yield);
}

/* What calling it costs, beside what it takes for itself. */
static uint64_t cost_of(uint64_t number)
{
    switch (number) {
    case __HYPERVISOR_mmu_update:
    case __HYPERVISOR_mmuext_op:
    case __HYPERVISOR_update_va_mapping:
        return 1;
    default:
        return WORK_CALL;
    }
}

static int64_t call_all(uint64_t calls, uint64_t count)
{
    uint64_t number, args[5];

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = calls + i * sizeof(struct multicall_entry);

        if (guest_read64_in_range(at, &number) ||
            guest_read128_in_range(at + 16, &args[0], &args[1]) ||
            guest_read128_in_range(at + 32, &args[2], &args[3]) ||
            guest_read64_in_range(at + 48, &args[4]))
            return -EFAULT;

        int64_t result = number == __HYPERVISOR_multicall ? -EINVAL : -ENOSYS;

        if (is_batchable(number, args[0]))
            result = work_take(cost_of(number))
                         ? -E2BIG
                         : hypercall_table[number](args[0], args[1], args[2], args[3], args[4]);
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
    count = (uint32_t)count;
    if (count > WORK_LIMIT)
        return -E2BIG;
    if (!guest_range_is_ok(calls, count * sizeof(struct multicall_entry)))
        return -EFAULT;
    work_begin();
    work.is_shared = 1;

    int64_t error = call_all(calls, count);

    work.is_shared = 0;
    return error;
}
