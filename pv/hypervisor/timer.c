/* See timer.h. Intel SDM vol. 3A, 11.5.4 (APIC timer, TSC-deadline mode). */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/timer.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/clock.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/math.h"
#include "pv/hypervisor/measure.h"

#define NS_PER_S 1000000000ul
/* The longest that the timer is set for; it is set again when more is needed. */
#define MAX_TIMER_NS (4 * NS_PER_S)

/* Deadlines; 0: none. The APIC timer is set for the earlier one. */
static uint64_t timer_deadline, wakeup_deadline;
static int wakeup_is_due;

/* When the APIC's own count was started, to measure the TSC by. */
static int is_counting;
static struct sample started;

static void start_count(uint64_t delta_ns)
{
    uint64_t ticks = multiply_divide(delta_ns, clock_apic_hz(), NS_PER_S) + 1;

    started = measure_start_apic(ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
    is_counting = 1;
}

static void start_apic_timer(uint64_t delta_ns)
{
    if (delta_ns > MAX_TIMER_NS)
        delta_ns = MAX_TIMER_NS;
    if (apic_has_deadline())
        apic_deadline_set(cpu_rdtsc() + clock_tsc_ticks(delta_ns) + 1);
    else
        start_count(delta_ns);
}

/* Set the APIC timer for the next deadline; what is due already is delivered. */
static void update(void)
{
    clock_follow();

    uint64_t now = clock_now_ns();

    if (timer_deadline && timer_deadline <= now) {
        timer_deadline = 0;
        event_send_virq(VIRQ_TIMER);
    }
    if (wakeup_deadline && wakeup_deadline <= now) {
        wakeup_deadline = 0;
        wakeup_is_due = 1;
    }

    uint64_t next = timer_deadline;

    if (wakeup_deadline && (!next || wakeup_deadline < next))
        next = wakeup_deadline;
    if (is_counting)
        clock_learn(&started);
    if (next)
        start_apic_timer(next - now);
    else if (!apic_has_deadline() && !is_counting)
        start_count(MAX_TIMER_NS); /* nothing to wait for: it serves to measure the TSC */
}

void timer_init(void)
{
    if (apic_has_deadline())
        apic_use_deadline();
    else
        start_count(MAX_TIMER_NS);
}

void timer_set(uint64_t deadline_ns)
{
    timer_deadline = deadline_ns;
    update();
}

void timer_set_wakeup(uint64_t deadline_ns)
{
    wakeup_deadline = deadline_ns;
    wakeup_is_due = 0;
    update();
}

int timer_wakeup_is_due(void)
{
    return wakeup_is_due;
}

void timer_interrupt(void)
{
    apic_eoi();
    is_counting = 0;
    update();
}
