/*
 * event_channel_op and sched_op misused: ports that are none, closed or bound, too many, and polls.
 */
#include "tests/guest/hypercall.h"

#include <string.h>

#include <xen/event_channel.h>
#include <xen/sched.h>

#include "kernel/clock.h"
#include "tests/guest/test.h"

#define PORTS 4096 /* of the two-level ABI; no hypervisor has more */

static const uint32_t bad_ports[] = {0, PORTS, PORTS + 1, 0x10000, 0x7fffffff, 0xffffffff};
#define NR_BAD_PORTS (sizeof(bad_ports) / sizeof(bad_ports[0]))

static long event_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, address_of(argument), 0, 0, 0);
}

static long close_port(uint32_t port)
{
    return event_op(EVTCHNOP_close, &(struct evtchn_close){.port = port});
}

static long send(uint32_t port)
{
    return event_op(EVTCHNOP_send, &(struct evtchn_send){.port = port});
}

static long unmask(uint32_t port)
{
    return event_op(EVTCHNOP_unmask, &(struct evtchn_unmask){.port = port});
}

static long bind_ipi(unsigned vcpu, uint32_t *port)
{
    struct evtchn_bind_ipi op = {.vcpu = vcpu};
    long error = event_op(EVTCHNOP_bind_ipi, &op);

    *port = op.port;
    return error;
}

static long bind_virq(unsigned virq, unsigned vcpu)
{
    return event_op(EVTCHNOP_bind_virq, &(struct evtchn_bind_virq){.virq = virq, .vcpu = vcpu});
}

static long alloc_unbound(domid_t domain, domid_t remote, uint32_t *port)
{
    struct evtchn_alloc_unbound op = {.dom = domain, .remote_dom = remote};
    long error = event_op(EVTCHNOP_alloc_unbound, &op);

    *port = op.port;
    return error;
}

static long status(uint32_t port, struct evtchn_status *out)
{
    *out = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
    return event_op(EVTCHNOP_status, out);
}

TEST(event_bad_ports, "Ports that do not exist, or are closed, can be neither sent to nor closed.")
{
    struct evtchn_status state;
    uint32_t port;

    for (size_t i = 0; i < NR_BAD_PORTS; i++) {
        CHECK_EQ(close_port(bad_ports[i]), -XEN_EINVAL);
        CHECK_EQ(send(bad_ports[i]), -XEN_EINVAL);
        CHECK_EQ(event_op(EVTCHNOP_bind_vcpu, &(struct evtchn_bind_vcpu){.port = bad_ports[i]}),
                 -XEN_EINVAL);
        if (!bad_ports[i])
            continue; /* never anybody's, but Xen lets it be unmasked and looked at */
        CHECK_EQ(unmask(bad_ports[i]), -XEN_EINVAL);
        CHECK_EQ(status(bad_ports[i], &state), -XEN_EINVAL);
    }
    REQUIRE_OK(bind_ipi(0, &port));
    CHECK_OK(close_port(port));
    CHECK_EQ(close_port(port), -XEN_EINVAL);
    CHECK_EQ(send(port), -XEN_EINVAL);
    CHECK_OK(status(port, &state));
    CHECK_EQ(state.status, EVTCHNSTAT_closed);
}

TEST(event_pointers, "Arguments that cannot be read or written are refused with -EFAULT.")
{
    static const unsigned commands[] = {
        EVTCHNOP_bind_virq, EVTCHNOP_bind_ipi, EVTCHNOP_alloc_unbound,    EVTCHNOP_close,
        EVTCHNOP_send,      EVTCHNOP_status,   EVTCHNOP_bind_interdomain, EVTCHNOP_unmask,
        EVTCHNOP_bind_vcpu, EVTCHNOP_reset};

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
            if (event_op(commands[i], (void *)bad->address) != -XEN_EFAULT)
                FAIL("command %u: %s", commands[i], bad->name);
}

TEST(event_commands, "Commands that are none are refused.")
{
    uint64_t argument[8] = {0};

    CHECK_EQ(event_op(30, argument), -XEN_ENOSYS);
    CHECK_EQ(event_op(100, argument), -XEN_ENOSYS);
    CHECK_EQ(event_op(0xffffffff, argument), -XEN_ENOSYS);
}

TEST(event_virq, "VIRQs that do not exist, are bound, or are another vCPU's are refused.")
{
    CHECK_EQ(bind_virq(VIRQ_TIMER, 0), -XEN_EEXIST); /* the kernel's own */
    CHECK_EQ(bind_virq(NR_VIRQS, 0), -XEN_EINVAL);
    CHECK_EQ(bind_virq(0xffffffff, 0), -XEN_EINVAL);
    CHECK_EQ(bind_virq(VIRQ_DEBUG, 1), -XEN_ENOENT);
    CHECK_EQ(bind_virq(VIRQ_DEBUG, 0xffffffff), -XEN_ENOENT);
}

TEST(event_ipi_vcpu, "IPI channels to vCPUs that do not exist are refused.")
{
    uint32_t port;

    CHECK_EQ(bind_ipi(1, &port), -XEN_ENOENT);
    CHECK_EQ(bind_ipi(0x7fffffff, &port), -XEN_ENOENT);
    CHECK_EQ(bind_ipi(0xffffffff, &port), -XEN_ENOENT);
    REQUIRE_OK(bind_ipi(0, &port));
    CHECK_EQ(event_op(EVTCHNOP_bind_vcpu, &(struct evtchn_bind_vcpu){.port = port, .vcpu = 1}),
             -XEN_ENOENT);
    CHECK_OK(close_port(port));
}

TEST(event_domains, "Channels to other domains that do not exist are refused.")
{
    uint32_t port;
    struct evtchn_bind_interdomain bind = {.remote_dom = 1234, .remote_port = 1};
    struct evtchn_status state = {.dom = 1234, .port = 1};

    CHECK_EQ(alloc_unbound(1234, 0, &port), -XEN_ESRCH);
    CHECK_EQ(event_op(EVTCHNOP_bind_interdomain, &bind), -XEN_ESRCH);
    CHECK_EQ(event_op(EVTCHNOP_status, &state), -XEN_ESRCH);
    CHECK_EQ(event_op(EVTCHNOP_reset, &(struct evtchn_reset){.dom = 1234}), -XEN_ESRCH);
    for (size_t i = 0; i < NR_BAD_PORTS; i++) {
        bind =
            (struct evtchn_bind_interdomain){.remote_dom = DOMID_SELF, .remote_port = bad_ports[i]};
        CHECK_EQ(event_op(EVTCHNOP_bind_interdomain, &bind), -XEN_EINVAL);
    }
}

TEST(event_interdomain,
     "A channel with both ends here is bound once, and carries events both ways.")
{
    uint32_t first;
    struct evtchn_status state;

    REQUIRE_OK(alloc_unbound(DOMID_SELF, DOMID_SELF, &first));
    CHECK_OK(status(first, &state));
    CHECK_EQ(state.status, EVTCHNSTAT_unbound);
    struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF, .remote_port = first};
    REQUIRE_OK(event_op(EVTCHNOP_bind_interdomain, &bind));
    uint32_t second = bind.local_port;
    CHECK_NE(second, first);
    CHECK_EQ(event_op(EVTCHNOP_bind_interdomain, &bind), -XEN_EINVAL); /* no longer unbound */
    CHECK_OK(status(second, &state));
    CHECK_EQ(state.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(state.u.interdomain.port, first);

    const volatile uint64_t *pending = ((const struct shared_info *)pv_shared_page)->evtchn_pending;
    bool unmask_after = pv_events_mask(); /* the kernel would take them away */
    CHECK_OK(send(second));
    CHECK(pending[first / 64] >> first % 64 & 1);
    CHECK_OK(send(first));
    CHECK(pending[second / 64] >> second % 64 & 1);
    pv_events_restore(unmask_after);
    CHECK_OK(close_port(second));
    CHECK_OK(status(first, &state));
    CHECK_EQ(state.status, EVTCHNSTAT_unbound);
    CHECK_OK(close_port(first));
}

TEST(event_exhaustion, "Ports run out with -ENOSPC; closed ones can be had again.")
{
    static uint32_t ports[PORTS + 1];
    unsigned counts[2];

    for (int turn = 0; turn < 2; turn++) {
        unsigned count = 0;
        long error = 0;

        while (count < PORTS + 1 && !(error = bind_ipi(0, &ports[count])))
            count++;
        CHECK_EQ(error, -XEN_ENOSPC);
        CHECK_LT(100, count);
        CHECK_LT(count, PORTS);
        counts[turn] = count;
        while (count > 0)
            CHECK_OK(close_port(ports[--count]));
    }
    CHECK_EQ(counts[1], counts[0]);
    sleep_ms(1); /* the timer's port is still what it was */
}

static unsigned handled;

static void handler(void *unused)
{
    (void)unused;
    handled++;
}

TEST(event_delivery, "An event arrives once for each sending, and waits while events are masked.")
{
    event_port_t port;

    handled = 0;
    REQUIRE_OK(pv_event_bind_ipi(handler, NULL, &port));
    for (unsigned i = 1; i <= 100; i++) {
        CHECK_OK(pv_event_send(port));
        CHECK_EQ(*(volatile unsigned *)&handled, i);
    }
    bool unmask_after = pv_events_mask();
    for (int i = 0; i < 5; i++)
        CHECK_OK(pv_event_send(port)); /* five become one */
    CHECK_EQ(*(volatile unsigned *)&handled, 100);
    pv_events_restore(unmask_after);
    CHECK_EQ(*(volatile unsigned *)&handled, 101);
    CHECK_OK(pv_event_close(port));
    CHECK_EQ(pv_event_send(port), -XEN_EINVAL);
}

/* --- sched_op ------------------------------------------------------------------------------- */

static long sched_op(unsigned command, const void *argument)
{
    return hypercall(__HYPERVISOR_sched_op, command, address_of(argument), 0, 0, 0);
}

static long poll(uint32_t *ports, unsigned count, uint64_t timeout_ns)
{
    struct sched_poll op = {.nr_ports = count, .timeout = timeout_ns};

    set_xen_guest_handle(op.ports, ports);
    return sched_op(SCHEDOP_poll, &op);
}

TEST(sched_commands, "Commands that are none, and those of the control domain, are refused.")
{
    uint64_t argument[8] = {0};

    CHECK_EQ(sched_op(100, argument), -XEN_ENOSYS);
    CHECK_EQ(sched_op(0xffffffff, argument), -XEN_ENOSYS);
    CHECK_OK(sched_op(SCHEDOP_yield, NULL));
    CHECK_OK(hypercall_by_multicall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0));
}

TEST(sched_pointers, "Arguments that cannot be read are refused with -EFAULT.")
{
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++) {
        /* Were these obeyed, the guest would end. */
        if (!CHECK_EQ(sched_op(SCHEDOP_poll, (void *)bad->address), -XEN_EFAULT) ||
            !CHECK_EQ(sched_op(SCHEDOP_shutdown, (void *)bad->address), -XEN_EFAULT) ||
            !CHECK_EQ(sched_op(SCHEDOP_shutdown_code, (void *)bad->address), -XEN_EFAULT))
            FAIL("%s", bad->name);
    }
}

TEST(sched_poll_bad,
     "Polls of ports that do not exist, of too many, or of unreadable lists: refused.")
{
    uint64_t deadline_ns = ms_from_now(1);
    uint32_t port, ports[200] = {0};

    for (size_t i = 1; i < NR_BAD_PORTS; i++) {
        port = bad_ports[i];
        CHECK_EQ(poll(&port, 1, deadline_ns), -XEN_EINVAL);
    }
    CHECK_EQ(poll(ports, 129, deadline_ns), -XEN_EINVAL);
    CHECK_EQ(poll(ports, 0xffffffff, deadline_ns), -XEN_EINVAL);
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (!CHECK_EQ(poll((uint32_t *)bad->address, 1, deadline_ns), -XEN_EFAULT))
            FAIL("%s", bad->name);
}

TEST(sched_poll_deadline, "A poll ends by its deadline, or at once when its port is pending.")
{
    uint32_t port;

    REQUIRE_OK(bind_ipi(0, &port));
    bool unmask_after = pv_events_mask();
    uint64_t deadline_ns = ms_from_now(3);
    CHECK_OK(poll(&port, 1, deadline_ns));
    CHECK_GE(clock_monotonic_ns(), deadline_ns);
    CHECK_OK(poll(&port, 1, 1)); /* long ago */
    CHECK_OK(send(port));
    CHECK_OK(poll(&port, 1, ms_from_now(3600 * 1000)));
    pv_events_restore(unmask_after);
    CHECK_OK(close_port(port));
}
