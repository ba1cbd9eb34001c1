/*
 * Time, read without a hypercall. Callable from anywhere.
 */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_SECOND 1000000000ull

uint64_t clock_monotonic_ns(void); /* since the domain's boot; never backwards */
uint64_t clock_wall_ns(void);      /* since 1970-01-01 UTC */

/* Of the counter behind both, as the hypervisor says. */
uint64_t clock_tsc_hz(void);

#endif
