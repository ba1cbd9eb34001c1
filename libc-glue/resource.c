/*
 * Limits and uses of the process, which are the machine's (sys/resource.h), and sysconf.
 *
 * Ordinary calls from threads.
 */
#include <limits.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

#define POSIX_ISSUE 200809

static struct page_counts memory(void)
{
    struct page_counts pages;

    page_counts(&pages);
    return pages;
}

/* --- Limits ----------------------------------------------------------------------------------- */

/* -EINVAL: unknown. */
static int limit_of(int resource, rlim_t *limit)
{
    switch (resource) {
    case RLIMIT_NOFILE:
        *limit = FD_LIMIT;
        return 0;
    case RLIMIT_AS:
    case RLIMIT_DATA:
        *limit = memory().total_pages * PAGE_SIZE;
        return 0;
    case RLIMIT_CORE:
        *limit = 0;
        return 0;
    case RLIMIT_CPU:
    case RLIMIT_FSIZE:
    case RLIMIT_STACK:
        *limit = RLIM_INFINITY;
        return 0;
    default:
        return -EINVAL;
    }
}

int getrlimit(int resource, struct rlimit *out)
{
    rlim_t limit;
    int error = limit_of(resource, &limit);

    if (error == 0)
        *out = (struct rlimit){.rlim_cur = limit, .rlim_max = limit};
    if (error == 0 && resource == RLIMIT_NOFILE)
        out->rlim_cur = (rlim_t)fd_limit();
    return (int)glue_result(error);
}

int setrlimit(int resource, const struct rlimit *wanted)
{
    rlim_t limit;
    int error = limit_of(resource, &limit);

    if (error == 0 && wanted->rlim_cur > wanted->rlim_max)
        error = -EINVAL;
    if (error == 0 && wanted->rlim_cur > limit)
        error = -EPERM;
    if (error == 0 && resource == RLIMIT_NOFILE)
        fd_set_limit((int)wanted->rlim_cur);
    else if (error == 0 && wanted->rlim_cur < limit)
        error = -ENOSYS; /* nothing would hold the program to it */
    return (int)glue_result(error);
}

int getdtablesize(void)
{
    return fd_limit();
}

int getpagesize(void)
{
    return PAGE_SIZE;
}

/* --- Uses ------------------------------------------------------------------------------------- */

int getrusage(int who, struct rusage *out)
{
    struct page_counts pages = memory();
    uint64_t busy_us = thread_busy_ns() / NS_PER_US;

    if (who != RUSAGE_SELF && who != RUSAGE_THREAD && who != RUSAGE_CHILDREN)
        return (int)glue_result(-EINVAL);
    *out = (struct rusage){0};
    if (who != RUSAGE_CHILDREN) {
        out->ru_utime.tv_sec = (time_t)(busy_us / 1000000);
        out->ru_utime.tv_usec = (suseconds_t)(busy_us % 1000000);
        out->ru_maxrss = (long)((pages.total_pages - pages.free_pages) * (PAGE_SIZE / 1024));
    }
    return 0;
}

static int check_priority(int which, id_t who)
{
    if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER)
        return -EINVAL;
    return who == 0 || (which != PRIO_USER && (pid_t)who == getpid()) ? 0 : -ESRCH;
}

int getpriority(int which, id_t who)
{
    return (int)glue_result(check_priority(which, who));
}

int setpriority(int which, id_t who, int value)
{
    int error = check_priority(which, who);

    return (int)glue_result(error != 0 ? error : value == 0 ? 0 : -ENOSYS);
}

int nice(int difference)
{
    return setpriority(PRIO_PROCESS, 0, difference);
}

/* --- sysconf ---------------------------------------------------------------------------------- */

/* -1, and errno as it was: no limit, or not there. */
long sysconf(int name)
{
    switch (name) {
    case _SC_ARG_MAX:
        return ARG_MAX;
    case _SC_CLK_TCK:
        return CLOCKS_PER_SEC; /* of times() */
    case _SC_OPEN_MAX:
        return fd_limit();
    case _SC_PAGESIZE:
        return PAGE_SIZE;
    case _SC_PHYS_PAGES:
        return (long)memory().total_pages;
    case _SC_AVPHYS_PAGES:
        return (long)memory().free_pages;
    case _SC_NPROCESSORS_CONF:
    case _SC_NPROCESSORS_ONLN:
        return 1;
    case _SC_IOV_MAX:
        return IOV_MAX;
    case _SC_HOST_NAME_MAX:
        return HOST_NAME_MAX;
    case _SC_LINE_MAX:
        return LINE_MAX;
    case _SC_GETPW_R_SIZE_MAX:
    case _SC_GETGR_R_SIZE_MAX:
        return 64;
    case _SC_THREAD_STACK_MIN:
        return THREAD_STACK_MIN_BYTES;
    case _SC_NGROUPS_MAX:
    case _SC_CHILD_MAX:
    case _SC_JOB_CONTROL:
    case _SC_SAVED_IDS:
        return 0;
    case _SC_MONOTONIC_CLOCK:
    case _SC_THREADS:
    case _SC_THREAD_SAFE_FUNCTIONS:
    case _SC_IPV6:
    case _SC_FSYNC:
    case _SC_REGEXP:
        return POSIX_ISSUE;
    case _SC_VERSION:
        return POSIX_ISSUE;
    case _SC_ATEXIT_MAX:
    case _SC_THREAD_THREADS_MAX:
    case _SC_STREAM_MAX:
        return -1; /* as many as there is memory for */
    default:
        if (name < 0 || name > _SC_LEVEL4_CACHE_LINESIZE)
            errno = EINVAL;
        return -1;
    }
}

size_t confstr(int name, char *out, size_t bytes)
{
    (void)name, (void)out, (void)bytes;
    errno = EINVAL;
    return 0;
}
