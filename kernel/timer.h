/*
 * One-shot timers on the monotonic clock. Tickless: the hypervisor's timer is set to the earliest
 * deadline only. Callable from threads and from event handlers, never sleeps.
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include "kernel/tree.h"

/* The owner's memory; all-zero is a valid idle timer. It must stay until fired or cancelled. */
struct timer {
    struct tree_node node; /* its key is the deadline */
    void (*fn)(void *arg); /* event context: events masked, must not sleep */
    void *arg;
    bool armed;
};

/* Calls fn(arg) once at deadline_ns or soon after; re-arms t if it is armed already. */
void timer_set(struct timer *t, uint64_t deadline_ns, void (*fn)(void *arg), void *arg);

/* Returns true if t was armed; afterwards it will not fire. */
bool timer_cancel(struct timer *t);

/* Binds the timer event. Boot only. */
int timer_init(void);

#endif
