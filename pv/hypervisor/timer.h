/*
 * The vCPU's one-shot timer, and the time-out of a poll, over the APIC timer. Times are nanoseconds
 * of the guest's system time. Ring 0.
 */
#ifndef HYPERVISOR_TIMER_H
#define HYPERVISOR_TIMER_H

#include <stdint.h>

/* Needs the clock. */
void timer_init(void);

/* VIRQ_TIMER at `deadline_ns` (at once if that has passed); 0 stops the timer. */
void timer_set(uint64_t deadline_ns);

/* Wake a poll at deadline_ns, without VIRQ_TIMER; 0: do not. */
void timer_set_wakeup(uint64_t deadline_ns);
int timer_wakeup_is_due(void);

/* Out of VECTOR_TIMER. */
void timer_interrupt(void);

#endif
