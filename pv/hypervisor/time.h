/*
 * Time: the guest's clock page (vcpu_time_info), the vCPU's one-shot timer, the wall clock.
 *
 * On KVM the guest's clock page is kvmclock's own, written by the host: the layout is the same.
 * Elsewhere the TSC is calibrated, and the page written here. All times are nanoseconds of the
 * guest's system time. Ring 0.
 */
#ifndef HYPERVISOR_TIME_H
#define HYPERVISOR_TIME_H

#include <stdint.h>

/* Needs the APIC and the domain's shared_info. */
void time_init(void);

uint64_t time_now_ns(void);

/* VIRQ_TIMER at `deadline_ns` (at once if that has passed); 0 stops the timer. */
void time_set_timer(uint64_t deadline_ns);
/* Out of VECTOR_TIMER. */
void time_interrupt(void);

/*
 * Wake an idle vCPU at deadline_ns, without VIRQ_TIMER: SCHEDOP_poll's time-out. 0: none.
 */
void time_set_wakeup(uint64_t deadline_ns);
int time_wakeup_is_due(void);

#endif
