/* sched_op, set_timer_op, vcpu_op: xen/sched.h, xen/vcpu.h. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/clock.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/kvm.h"
#include "pv/hypervisor/shutdown.h"
#include "pv/hypervisor/timer.h"

#define MAX_POLL_PORTS 128 /* as Xen */
#define FAR_TIMER_NS 100000000ul

static uint64_t blocked_ns; /* for VCPUOP_get_runstate_info */

static void wait(void)
{
    uint64_t start = clock_now_ns();

    cpu_wait();
    blocked_ns += clock_now_ns() - start;
}

static int64_t block(void)
{
    struct vcpu_info *info = this_cpu()->vcpu_info;

    info->evtchn_upcall_mask = 0;
    while (!info->evtchn_upcall_pending)
        wait();
    return 0;
}

static int64_t poll(uint64_t arg)
{
    struct sched_poll op;
    evtchn_port_t ports[MAX_POLL_PORTS];

    if (guest_read(&op, arg, sizeof(op)))
        return -EFAULT;
    if (op.nr_ports > MAX_POLL_PORTS)
        return -EINVAL;
    if (guest_read(ports, (uint64_t)op.ports.p, op.nr_ports * sizeof(ports[0])))
        return -EFAULT;
    for (unsigned int i = 0; i < op.nr_ports; i++)
        if (!event_is_port(ports[i]))
            return -EINVAL;

    timer_set_wakeup(op.timeout);
    for (;;) {
        for (unsigned int i = 0; i < op.nr_ports; i++) {
            if (event_is_pending(ports[i])) {
                timer_set_wakeup(0);
                return 0;
            }
        }
        /* Xen: an event that would be delivered ends it, too. */
        if (timer_wakeup_is_due() || (this_cpu()->vcpu_info->evtchn_upcall_pending &&
                                      !this_cpu()->vcpu_info->evtchn_upcall_mask)) {
            timer_set_wakeup(0);
            return 0;
        }
        wait();
    }
}

int64_t hypercall_sched_op(uint64_t command, uint64_t arg)
{
    struct sched_shutdown op;

    switch ((uint32_t)command) {
    case SCHEDOP_yield: /* to whom? */
        return 0;
    case SCHEDOP_block:
        return block();
    case SCHEDOP_poll:
        return poll(arg);
    case SCHEDOP_shutdown:
    case SCHEDOP_shutdown_code:
        if (guest_read(&op, arg, sizeof(op)))
            return -EFAULT;
        if ((uint32_t)command == SCHEDOP_shutdown)
            shutdown_domain(op.reason);
        if (!domain.has_shutdown_code) { /* the first one counts, as in Xen */
            domain.has_shutdown_code = 1;
            domain.shutdown_code = op.reason;
        }
        return 0;
    default:
        return -ENOSYS;
    }
}

int64_t hypercall_set_timer_op(uint64_t deadline_ns)
{
    uint64_t now = clock_now_ns();

    /* Xen: what is negative or more than 2^50 ns away is some guest's overflow: soon, then. */
    if ((int64_t)deadline_ns < 0 || (deadline_ns > now && (deadline_ns - now) >> 50))
        deadline_ns = now + FAR_TIMER_NS;
    timer_set(deadline_ns);
    return 0;
}

static int64_t set_singleshot_timer(uint64_t arg)
{
    struct vcpu_set_singleshot_timer op;

    if (guest_read(&op, arg, sizeof(op)))
        return -EFAULT;
    if ((op.flags & VCPU_SSHOTTMR_future) && op.timeout_abs_ns < clock_now_ns())
        return -ETIME;
    /* At once if it is past, or negative. */
    timer_set((int64_t)op.timeout_abs_ns > 0 ? op.timeout_abs_ns : 1);
    return 0;
}

static int64_t get_runstate_info(uint64_t arg)
{
    uint64_t now = clock_now_ns();
    uint64_t stolen = kvm_steal_ns(); /* runnable, but not running */
    struct vcpu_runstate_info info;

    __builtin_memset(&info, 0, sizeof(info)); /* its padding, too */
    info.state = RUNSTATE_running;
    info.state_entry_time = now;
    info.time[RUNSTATE_running] = now - blocked_ns - stolen;
    info.time[RUNSTATE_runnable] = stolen;
    info.time[RUNSTATE_blocked] = blocked_ns;
    return guest_write(arg, &info, sizeof(info));
}

int64_t hypercall_vcpu_op(uint64_t command, uint64_t vcpu, uint64_t arg)
{
    if ((uint32_t)vcpu != 0)
        return -ENOENT;
    switch ((uint32_t)command) {
    case VCPUOP_is_up:
        return 1;
    case VCPUOP_get_runstate_info:
        return get_runstate_info(arg);
    case VCPUOP_stop_periodic_timer: /* there never is one: Parvus is tickless */
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot_timer(arg);
    case VCPUOP_stop_singleshot_timer:
        timer_set(0);
        return 0;
    default:
        return -ENOSYS;
    }
}
