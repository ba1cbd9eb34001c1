/*
 * The clock: the guest's vcpu_time_info page, and where the TSC's frequency is from. All times are
 * nanoseconds of the guest's system time. Ring 0.
 *
 * Sources, the first that works wins, or the one that clock=NAME on the command line names:
 *   kvmclock  the host writes the page itself; the layout is the same
 *   hyperv    the reference time of Hyper-V and what speaks like it, by TSC page or counter
 *   vmware    CPUID leaf 0x40000010
 *   cpuid     CPUID leaves 0x15 and 0x16
 *   apic      measured against the APIC timer, where that is known to count nanoseconds
 *   pmtimer   measured against the ACPI power management timer
 *   pit       measured against the interval timer
 * The wall clock is KVM's, or else the RTC's; Hyper-V has none.
 */
#ifndef HYPERVISOR_CLOCK_H
#define HYPERVISOR_CLOCK_H

#include <stdint.h>

/* Needs ACPI, the APIC and shared_info. `wanted`: a source's name, or "" for the first that works.
 */
void clock_init(const char *wanted);
/* Lines on the console: `parvus: clock: NAME[, DETAILS]`, the source in use, and
 * `parvus: wall clock: kvm|rtc|none`. */
void clock_report(void);

uint64_t clock_now_ns(void);

/* Ticks of the TSC in `ns` nanoseconds, at most 64 bits of them. */
uint64_t clock_tsc_ticks(uint64_t ns);

/* Ticks of the APIC timer a second. */
uint64_t clock_apic_hz(void);

/*
 * The APIC timer runs since `start` (measure_start_apic()): with the source "apic" a measurement,
 * which is used if it is better than those before.
 */
struct sample;
void clock_learn(const struct sample *start);

/* Call it at least whenever a timer is set or ends: with the source "hyperv" the clock keeps to the
 * host's reference time, which it asks for at most once a second after a while. */
void clock_follow(void);

#endif
