/*
 * The kernel's clocks: the paravirtual ones under their public names.
 *
 * Callers: anything, anywhere. Ring 3. Locks: none.
 */
#include "kernel/clock.h"

#include "pv/pv.h"

uint64_t clock_monotonic_ns(void)
{
    return pv_clock_monotonic_ns();
}

uint64_t clock_wall_ns(void)
{
    return pv_clock_wall_ns();
}

uint64_t clock_tsc_hz(void)
{
    return pv_clock_tsc_hz();
}
