/*
 * Time-outs as the kernel wants them: absolute clock_monotonic_ns() values, UINT64_MAX for never.
 */
#ifndef LIBC_GLUE_DEADLINE_H
#define LIBC_GLUE_DEADLINE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/_timespec.h>
#include <sys/_timeval.h>
#include <time.h>

#include "kernel/clock.h"

#define DEADLINE_NEVER UINT64_MAX

/* Saturates: nothing waits for 584 years. -EINVAL: not a time. */
static inline int ns_from_timespec(const struct timespec *t, uint64_t *out_ns)
{
    if (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= (long)NS_PER_SECOND)
        return -EINVAL;
    if (__builtin_mul_overflow((uint64_t)t->tv_sec, NS_PER_SECOND, out_ns) ||
        __builtin_add_overflow(*out_ns, (uint64_t)t->tv_nsec, out_ns))
        *out_ns = UINT64_MAX;
    return 0;
}

static inline uint64_t deadline_after_ns(uint64_t ns)
{
    uint64_t sum;

    return __builtin_add_overflow(clock_monotonic_ns(), ns, &sum) ? DEADLINE_NEVER : sum;
}

/* NULL: never. -EINVAL. */
static inline int deadline_after(const struct timespec *timeout, uint64_t *out_deadline_ns)
{
    uint64_t ns;

    *out_deadline_ns = DEADLINE_NEVER;
    if (timeout == NULL)
        return 0;
    int error = ns_from_timespec(timeout, &ns);
    if (error == 0)
        *out_deadline_ns = deadline_after_ns(ns);
    return error;
}

/* When `clock` (CLOCK_REALTIME or CLOCK_MONOTONIC) will show `time`; NULL: never. -EINVAL. */
static inline int deadline_at(clockid_t clock, const struct timespec *time,
                              uint64_t *out_deadline_ns)
{
    uint64_t ns = DEADLINE_NEVER;
    int error = 0;

    if (time != NULL && time->tv_sec < 0 && time->tv_nsec >= 0 &&
        time->tv_nsec < (long)NS_PER_SECOND)
        ns = 0; /* long past, but a time */
    else if (time != NULL)
        error = ns_from_timespec(time, &ns);
    if (clock == CLOCK_REALTIME && ns != DEADLINE_NEVER) {
        uint64_t now_ns = clock_wall_ns();
        ns = ns > now_ns ? deadline_after_ns(ns - now_ns) : 0;
    } else if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) {
        error = -EINVAL;
    }
    *out_deadline_ns = ns;
    return error;
}

/* Negative: never. */
static inline uint64_t deadline_after_ms(int ms)
{
    return ms < 0 ? DEADLINE_NEVER : deadline_after_ns((uint64_t)ms * NS_PER_MS);
}

#endif
