/*
 * select: poll with its descriptors in bit sets.
 *
 * Ordinary calls from threads; they sleep. Source: Linux's select(2); which events a set stands
 * for, there under "Correspondence between select() and poll() notifications".
 */
#include <sys/select.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/poll.h"
#include "libc-glue/signal.h"

enum { READ, WRITE, EXCEPT, SETS };

static const unsigned events_of[SETS] = {
    POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
    POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
    POLLPRI,
};

struct fd_sets {
    __fd_mask *words[SETS]; /* or NULL. They may be larger than fd_set: as `end` needs */
    int end;
};

static bool has(const struct fd_sets *sets, int set, int fd)
{
    return sets->words[set] != NULL && (sets->words[set][fd / _NFDBITS] & __fdset_mask(fd)) != 0;
}

/* What is asked of fd, as events. */
static unsigned wanted(const struct fd_sets *sets, int fd)
{
    unsigned events = 0;

    for (int set = 0; set < SETS; set++)
        if (has(sets, set, fd))
            events |= events_of[set];
    return events;
}

static unsigned count_wanted(const struct fd_sets *sets)
{
    unsigned count = 0;

    for (int fd = 0; fd < sets->end; fd++)
        if (wanted(sets, fd) != 0)
            count++;
    return count;
}

static int open_watches(const struct fd_sets *sets, struct poll_watch *watches)
{
    int error = 0;

    for (int fd = 0; fd < sets->end && error == 0; fd++) {
        if (wanted(sets, fd) == 0)
            continue;
        watches->waiter.events = wanted(sets, fd);
        watches->fd = fd;
        error = fd_get(fd, &watches->file);
        watches++;
    }
    return error;
}

/* Leaves in the sets what happened; how many bits that are. */
static int store(struct fd_sets *sets, const struct poll_watch *watches, unsigned count)
{
    int bits = 0;

    for (const struct poll_watch *w = watches; w < watches + count; w++) {
        for (int set = 0; set < SETS; set++) {
            if (!has(sets, set, w->fd))
                continue;
            if ((w->happened & events_of[set]) != 0)
                bits++;
            else
                sets->words[set][w->fd / _NFDBITS] &= ~__fdset_mask(w->fd);
        }
    }
    return bits;
}

static int select_until(struct fd_sets *sets, uint64_t deadline_ns)
{
    struct poll_watch few[POLL_FEW], *watches;

    if (sets->end < 0)
        return -EINVAL;
    if (sets->end > FD_LIMIT)
        sets->end = FD_LIMIT;
    unsigned count = count_wanted(sets);
    watches = poll_watches_new(few, count);
    if (watches == NULL)
        return -ENOMEM;
    int result = open_watches(sets, watches);
    int found = poll_watches(watches, count, result != 0 ? 0 : deadline_ns);
    if (result == 0)
        result = found < 0 ? found : 0;
    if (result == 0)
        result = store(sets, watches, count);
    poll_watches_free(few, watches);
    return result;
}

/* What is left of the time goes back to the caller (Linux's select(2), NOTES). */
int select(int end, fd_set *readable, fd_set *writable, fd_set *exceptional,
           struct timeval *timeout)
{
    struct fd_sets sets = {{(__fd_mask *)readable, (__fd_mask *)writable, (__fd_mask *)exceptional},
                           end};
    uint64_t deadline_ns = DEADLINE_NEVER;

    if (timeout != NULL) {
        uint64_t seconds = (uint64_t)timeout->tv_sec + (uint64_t)timeout->tv_usec / 1000000;
        struct timespec time = {(time_t)seconds, timeout->tv_usec % 1000000 * 1000};
        int error = deadline_after(&time, &deadline_ns);
        if (error != 0)
            return (int)glue_result(error);
    }
    int result = select_until(&sets, deadline_ns);
    if (timeout != NULL) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t left_us = now_ns < deadline_ns ? (deadline_ns - now_ns) / NS_PER_US : 0;
        timeout->tv_sec = (time_t)(left_us / 1000000);
        timeout->tv_usec = (suseconds_t)(left_us % 1000000);
    }
    return (int)glue_interruptible_result(result);
}

int pselect(int end, fd_set *readable, fd_set *writable, fd_set *exceptional,
            const struct timespec *timeout, const sigset_t *mask)
{
    struct fd_sets sets = {{(__fd_mask *)readable, (__fd_mask *)writable, (__fd_mask *)exceptional},
                           end};
    uint64_t deadline_ns;
    int result = deadline_after(timeout, &deadline_ns);

    if (result != 0)
        return (int)glue_result(result);
    sigset_t old = mask != NULL ? signal_begin_masked(mask) : 0;
    result = (int)glue_interruptible_result(select_until(&sets, deadline_ns));
    if (mask != NULL)
        signal_end_masked(old);
    return result;
}
