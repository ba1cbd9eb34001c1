/*
 * The clock of Hyper-V, and of what speaks like it (KVM with hv-time). Hyper-V Top Level Functional
 * Specification 6.0b, 12.4 (reference counter), 12.7 (reference TSC page). Ring 0.
 */
#ifndef HYPERVISOR_HYPERV_H
#define HYPERVISOR_HYPERV_H

#include <stdint.h>

/* Look for the clock and switch it on. 0, or -ENODEV. */
int hyperv_start_clock(void);

/*
 * The reference time, in ns since some moment: by the TSC page, or, while the host says that the
 * TSC is nothing to go by, by the counter's MSR, which costs an exit. Goes forward only, by 100 ns.
 */
uint64_t hyperv_now_ns(void);

/* Ticks of the TSC and of the APIC timer a second, as the host says them; 0: it does not. */
uint64_t hyperv_tsc_hz(void);
uint64_t hyperv_apic_hz(void);

#endif
