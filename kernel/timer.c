/*
 * One-shot timers over the hypervisor's one timer.
 *
 * Callers: threads and event handlers. Ring 3. Lock: timer_lock protects the tree, every timer in
 * it and `programmed_ns`; it is not held while a timer's function runs. Order: sched_lock, then
 * timer_lock.
 */
#include "kernel/timer.h"

#include <stddef.h>

#include "kernel/clock.h"
#include "kernel/spinlock.h"

#define NOT_PROGRAMMED UINT64_MAX

static struct spinlock timer_lock;
static struct tree timers;
static uint64_t programmed_ns = NOT_PROGRAMMED; /* what the hypervisor was asked for last */

/* timer_lock held. */
static struct timer *earliest(void)
{
    return tree_owner(tree_first(&timers), struct timer, node);
}

/*
 * timer_lock held. A deadline that is later than what is programmed costs nothing: the event comes
 * too early, finds nothing to do and programs the next.
 */
static void program_earliest(void)
{
    struct timer *first = earliest();

    if (first && first->node.key < programmed_ns) {
        programmed_ns = first->node.key;
        pv_timer_set(programmed_ns);
    }
}

void timer_set(struct timer *t, uint64_t deadline_ns, void (*fn)(void *arg), void *arg)
{
    bool unmask = spin_lock(&timer_lock);

    if (t->armed)
        tree_remove(&timers, &t->node);
    t->node.key = deadline_ns;
    t->fn = fn;
    t->arg = arg;
    t->armed = true;
    tree_insert(&timers, &t->node);
    program_earliest();
    spin_unlock(&timer_lock, unmask);
}

bool timer_cancel(struct timer *t)
{
    bool unmask = spin_lock(&timer_lock);
    bool was_armed = t->armed;

    if (was_armed)
        tree_remove(&timers, &t->node);
    t->armed = false;
    spin_unlock(&timer_lock, unmask);
    return was_armed;
}

static void timer_event(void *unused)
{
    (void)unused;
    spin_lock(&timer_lock);
    uint64_t now_ns = clock_monotonic_ns();
    struct timer *t;

    while ((t = earliest()) && t->node.key <= now_ns) {
        void (*fn)(void *) = t->fn;
        void *arg = t->arg;

        tree_remove(&timers, &t->node);
        t->armed = false;
        spin_release(&timer_lock);
        fn(arg); /* may free or re-arm t */
        spin_lock(&timer_lock);
    }
    programmed_ns = NOT_PROGRAMMED;
    program_earliest();
    spin_release(&timer_lock);
}

int timer_init(void)
{
    event_port_t port;

    pv_timer_stop_periodic();
    return pv_event_bind_virq(PV_VIRQ_TIMER, timer_event, NULL, &port);
}
