/*
 * poll, and what it has in common with select.
 *
 * Ordinary calls from threads; they sleep. Each call costs time in proportion to its descriptors,
 * epoll does not.
 */
#include "libc-glue/poll.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/signal.h"

struct poll_call {
    struct semaphore woken;
};

static void wake_call(struct poll_waiter *waiter, unsigned events)
{
    (void)events;
    semaphore_post(&((struct poll_watch *)waiter)->call->woken);
}

/* How many watches have an event now. */
static int look(struct poll_watch *watches, unsigned count)
{
    int found = 0;

    for (struct poll_watch *w = watches; w < watches + count; w++) {
        if (w->file == NULL)
            continue;
        w->happened = file_poll(w->file) & w->waiter.events;
        if (w->happened != 0)
            found++;
    }
    return found;
}

static int wait_for_one(struct poll_watch *watches, unsigned count, uint64_t deadline_ns)
{
    struct poll_call call = {.woken = SEMAPHORE_INIT(0)};
    int found, error = 0;

    thread_defer_interrupts(); /* a handler may jump away */
    for (struct poll_watch *w = watches; w < watches + count; w++) {
        w->call = &call;
        w->waiter.wake = wake_call;
        if (w->file != NULL)
            file_watch(w->file, &w->waiter);
    }
    while ((found = look(watches, count)) == 0 && error == 0) {
        error = semaphore_wait_interruptible(&call.woken, deadline_ns);
        while (semaphore_trywait(&call.woken) == 0)
            ; /* one look answers them all */
    }
    for (struct poll_watch *w = watches; w < watches + count; w++)
        if (w->file != NULL)
            file_unwatch(w->file, &w->waiter);
    thread_allow_interrupts();
    return found == 0 && error == -EINTR ? error : found;
}

int poll_watches(struct poll_watch *watches, unsigned count, uint64_t deadline_ns)
{
    int found = look(watches, count);

    if (found == 0)
        found = wait_for_one(watches, count, deadline_ns);
    for (struct poll_watch *w = watches; w < watches + count; w++)
        if (w->file != NULL)
            file_put(w->file);
    return found;
}

struct poll_watch *poll_watches_new(struct poll_watch *few, unsigned count)
{
    struct poll_watch *watches = count <= POLL_FEW ? few : malloc(count * sizeof(*watches));

    if (watches != NULL)
        memset(watches, 0, count * sizeof(*watches));
    return watches;
}

void poll_watches_free(struct poll_watch *few, struct poll_watch *watches)
{
    if (watches != few)
        free(watches);
}

/* --- poll ------------------------------------------------------------------------------------- */

static int poll_until(struct pollfd *fds, nfds_t count, uint64_t deadline_ns)
{
    struct poll_watch few[POLL_FEW], *watches;
    int bad = 0;

    if (count > FD_LIMIT)
        return -EINVAL;
    watches = poll_watches_new(few, (unsigned)count);
    if (watches == NULL)
        return -ENOMEM;
    for (nfds_t i = 0; i < count; i++) {
        watches[i].waiter.events = (unsigned short)fds[i].events | POLLERR | POLLHUP;
        fds[i].revents = 0;
        if (fds[i].fd >= 0 && fd_get(fds[i].fd, &watches[i].file) != 0) {
            fds[i].revents = POLLNVAL;
            bad++;
        }
    }
    int found = poll_watches(watches, (unsigned)count, bad != 0 ? 0 : deadline_ns);
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents |= (short)watches[i].happened;
    poll_watches_free(few, watches);
    return found < 0 ? found : found + bad;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return (int)glue_interruptible_result(poll_until(fds, count, deadline_after_ms(timeout_ms)));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    uint64_t deadline_ns;
    int result = deadline_after(timeout, &deadline_ns);

    if (result != 0)
        return (int)glue_result(result);
    sigset_t old = mask != NULL ? signal_begin_masked(mask) : 0;
    result = (int)glue_interruptible_result(poll_until(fds, count, deadline_ns));
    if (mask != NULL)
        signal_end_masked(old);
    return result;
}
