/*
 * Time: the kernel's two clocks, and sleeping. Reading a clock makes no hypercall.
 *
 * All are ordinary calls from threads; nanosleep and clock_nanosleep sleep.
 */
#define _GNU_SOURCE /* CLOCK_BOOTTIME and others that Linux programs use */
#include <stdbool.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "kernel/clock.h"
#include "kernel/thread.h"
#include "libc-glue/deadline.h"
#include "libc-glue/glue.h"

static struct timespec timespec_from_ns(uint64_t ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(ns / NS_PER_SECOND),
        .tv_nsec = (long)(ns % NS_PER_SECOND),
    };
}

/* -EINVAL: no such clock. */
static int clock_read(clockid_t clock, uint64_t *out_ns)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        *out_ns = clock_wall_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        *out_ns = clock_monotonic_ns();
        return 0;
    default:
        return -EINVAL;
    }
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    uint64_t ns;
    int result = clock_read(clock, &ns);

    if (result == 0)
        *now = timespec_from_ns(ns);
    return glue_result(result);
}

int clock_getres(clockid_t clock, struct timespec *resolution)
{
    uint64_t ns;
    int result = clock_read(clock, &ns);

    if (result == 0 && resolution != NULL)
        *resolution = timespec_from_ns(1);
    return glue_result(result);
}

int clock_settime(clockid_t clock, const struct timespec *now)
{
    (void)clock, (void)now;
    return glue_result(-EPERM); /* the hypervisor's clocks */
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    uint64_t ns = clock_wall_ns();

    if (zone != NULL) /* obsolete, but programs ask; Linux says UTC, too */
        *(struct timezone *)zone = (struct timezone){0};
    now->tv_sec = (time_t)(ns / NS_PER_SECOND);
    now->tv_usec = (suseconds_t)(ns % NS_PER_SECOND / NS_PER_US);
    return 0;
}

/* Returns an error number instead of setting errno (POSIX). */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                    struct timespec *remaining)
{
    uint64_t now_ns, time_ns;
    int result = clock_read(clock, &now_ns);

    if (result == 0)
        result = ns_from_timespec(time, &time_ns);
    if (result != 0)
        return -result;
    if ((flags & TIMER_ABSTIME) != 0)
        time_ns = time_ns > now_ns ? time_ns - now_ns : 0;
    uint64_t deadline_ns = deadline_after_ns(time_ns);
    if (thread_sleep_until(deadline_ns) == 0)
        return 0;
    now_ns = clock_monotonic_ns();
    if (remaining != NULL && (flags & TIMER_ABSTIME) == 0)
        *remaining = timespec_from_ns(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
    thread_serve_interrupt();
    return EINTR;
}

int nanosleep(const struct timespec *time, struct timespec *remaining)
{
    return glue_result(-clock_nanosleep(CLOCK_MONOTONIC, 0, time, remaining));
}

/* The processor is the application's alone: all the time that it runs counts as its own. */
clock_t times(struct tms *out)
{
    const uint64_t tick_ns = NS_PER_SECOND / CLOCKS_PER_SEC;

    *out = (struct tms){.tms_utime = thread_busy_ns() / tick_ns};
    return clock_monotonic_ns() / tick_ns;
}
