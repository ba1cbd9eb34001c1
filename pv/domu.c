/*
 * What the rings of the tool stack's daemons have in common.
 *
 * Callers: pv/console_ring.c, pv/store.c. Ring 3. Locks: none.
 */
#include "pv/domu.h"

#define WAIT_NS 10000000 /* a daemon that never answers is looked at this often */

void *pv_daemon_page(uint64_t mfn)
{
    for (pfn_t pfn = {0}; mfn && pfn.n < pv_boot.free_start.n; pfn.n++) {
        if (pv_mfn(pfn).n == mfn)
            return pv_boot_address(pfn);
    }
    return NULL;
}

void pv_daemon_notify(event_port_t port)
{
    struct evtchn_send send = {.port = port};

    hypervisor_event_channel_op(EVTCHNOP_send, &send);
}

void pv_daemon_wait(event_port_t port)
{
    struct sched_poll poll = {.nr_ports = 1, .timeout = pv_clock_monotonic_ns() + WAIT_NS};

    set_xen_guest_handle(poll.ports, &port);
    /* A pending port whose handler has not run yet, as events may be masked, ends it at once. */
    if (__atomic_load_n(&pv_shared()->evtchn_pending[port / 64], __ATOMIC_RELAXED) >> port % 64 & 1)
        hypervisor_sched_op(SCHEDOP_yield, NULL);
    else
        hypervisor_sched_op(SCHEDOP_poll, &poll);
}
