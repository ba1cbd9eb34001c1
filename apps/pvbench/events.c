/*
 * Events: from the hypercall that raises one to its handler and back, at once or after having been
 * masked; and the timer, which ends a block.
 *
 * Ring 3. ABI: event_channel.h (EVTCHNOP_send to a port of our own), sched.h (SCHEDOP_block).
 */
#include "apps/pvbench/pvbench.h"

#include <stddef.h>

#include "apps/pvbench/bench.h"
#include "kernel/clock.h"
#include "kernel/timer.h"
#include "kernel/thread.h"
#include "pv/hypercall.h"
#include "pv/pv.h"

#define EVENTS 256
#define SHORT_NS 50000ull
#define FAR_NS (100 * NS_PER_SECOND)

static event_port_t port;
static volatile uint64_t arrived_tsc;

static void handler(void *arg)
{
    (void)arg;
    arrived_tsc = bench_tsc();
}

/* Delivered before the hypercall returns. */
static void send(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        pv_event_send(port);
}

/* Raised while masked; unmasking finds it and runs the handler, without a hypercall. */
static void send_masked(unsigned n, void *arg)
{
    (void)arg;
    while (n--) {
        bool unmask = pv_events_mask();

        pv_event_send(port);
        pv_events_restore(unmask);
    }
}

/* The unmasking of the above alone. */
static void replay(void)
{
    struct bench b = {.figure = "event.replay", .n = 1};

    while (bench_wants(&b)) {
        bool unmask = pv_events_mask();

        pv_event_send(port);
        bench_start(&b);
        pv_events_restore(unmask);
        bench_stop(&b);
    }
    bench_report(&b);
}

static void time_to_handler(void)
{
    struct bench b = {.figure = "event.to_handler", .n = 1};

    while (bench_wants(&b)) {
        uint64_t start = bench_tsc();

        pv_event_send(port);
        bench_add(&b, arrived_tsc - start);
    }
    bench_report(&b);
}

/* A block that finds an event pending: the hypercall, the handler, no sleep. */
static void block_pending(void)
{
    struct bench b = {.figure = "event.block_pending", .n = 1};

    while (bench_wants(&b)) {
        pv_events_mask();
        pv_event_send(port);
        bench_start(&b);
        pv_block();
        bench_stop(&b);
    }
    bench_report(&b);
}

/* The far deadline changes nothing that fires meanwhile. */
static void set_timer(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        pv_timer_set(clock_monotonic_ns() + FAR_NS);
}

/* How late (in ns of the guest's clock) a sleeping vCPU is back in its handler: timer interrupt,
 * end of the block, delivery. */
static void fired(void *late_ns)
{
    *(volatile uint64_t *)late_ns = clock_monotonic_ns();
}

static void wake_by_timer(uint64_t tsc_hz)
{
    struct bench b = {.figure = "timer.wake", .n = 1};
    struct timer timer = {0};
    volatile uint64_t fired_ns;

    while (bench_wants(&b)) {
        uint64_t deadline_ns = clock_monotonic_ns() + SHORT_NS;

        fired_ns = 0;
        timer_set(&timer, deadline_ns, fired, (void *)&fired_ns);
        while (!fired_ns) {
            pv_events_mask();
            pv_block();
        }
        bench_add(&b, (uint64_t)((double)(fired_ns - deadline_ns) * (double)tsc_hz / 1e9));
    }
    bench_report(&b);
}

/* The same up to a thread that slept. */
static void wake_thread(uint64_t tsc_hz)
{
    struct bench b = {.figure = "timer.sleep", .n = 1};

    while (bench_wants(&b)) {
        uint64_t deadline_ns = clock_monotonic_ns() + SHORT_NS;

        thread_sleep_until(deadline_ns);
        bench_add(&b,
                  (uint64_t)((double)(clock_monotonic_ns() - deadline_ns) * (double)tsc_hz / 1e9));
    }
    bench_report(&b);
}

void bench_events(uint64_t tsc_hz)
{
    if (pv_event_bind_ipi(handler, NULL, &port)) {
        bench_missing("event", "the hypervisor gives no IPI port");
    } else {
        bench_loop("event.send", EVENTS, send, NULL);
        time_to_handler();
        bench_loop("event.send_masked", EVENTS, send_masked, NULL);
        replay();
        block_pending();
        pv_event_close(port);
    }
    bench_loop("timer.set", EVENTS, set_timer, NULL);
    pv_timer_stop();
    wake_by_timer(tsc_hz);
    wake_thread(tsc_hz);
}
