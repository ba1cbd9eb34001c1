/*
 * epoll: a set of watched files that keeps a list of those that may be ready.
 *
 * A watched file's event puts its item on the list, in any context; epoll_wait takes items off it
 * and asks their files what is true now. So it costs time in proportion to what is ready, not to
 * what is watched. A level-triggered item goes back to the end of the list, to be asked again.
 *
 * Callers: threads. Locks of each set: `lock` protects the items and who works on the list of ready
 * ones; `ready_lock`, taken by wakers too, that list, its length and `sleepers`. Order:
 * file_gone_lock, lock (an outer set's before an inner's), a file's waiters_lock, ready_lock (an
 * inner set's first).
 *
 * Source: Linux's epoll(7), epoll_ctl(2).
 */
#include <sys/epoll.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* See kernel/tree.h. */
#define __PERMIT_DEPRECATED_SYS_TREE_H
#include <sys/tree.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/signal.h"

#define ALWAYS (POLLERR | POLLHUP)
#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

/* A watched file under the descriptor by which it was added. No reference: the item goes with the
 * file (`gone`). */
struct item {
    struct poll_waiter waiter; /* its events: 0 once a one-shot item has been reported */
    RB_ENTRY(item) by_key;
    TAILQ_ENTRY(item) ready_link;
    bool is_ready; /* on the list */
    struct epoll *epoll;
    struct file *file;
    int fd;
    struct epoll_event wanted;
};

RB_HEAD(items, item);
TAILQ_HEAD(ready_items, item);

struct epoll {
    struct file file; /* first */
    struct mutex lock;
    struct items items;
    struct spinlock ready_lock;
    struct ready_items ready;
    unsigned nr_ready;
    unsigned sleepers; /* threads that wait and have not been woken yet */
    struct semaphore woken;
    unsigned nr_inner, nr_outer; /* sets that it watches, that watch it; file_gone_lock */
};

static int compare(const struct item *a, const struct item *b)
{
    if (a->fd != b->fd)
        return a->fd < b->fd ? -1 : 1;
    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return 0;
}

RB_GENERATE_STATIC(items, item, by_key, compare)

static const struct file_ops epoll_ops;

static bool is_epoll(const struct file *file)
{
    return file->ops == &epoll_ops;
}

/* --- The list of ready items ------------------------------------------------------------------ */

/* All of these: ready_lock held. */

static void wake_sleeper(struct epoll *ep)
{
    if (ep->sleepers == 0)
        return;
    ep->sleepers--;
    semaphore_post(&ep->woken);
}

/* Whether it was not there yet. */
static bool append(struct item *item)
{
    if (item->is_ready)
        return false;
    item->is_ready = true;
    TAILQ_INSERT_TAIL(&item->epoll->ready, item, ready_link);
    item->epoll->nr_ready++;
    return true;
}

static void take_off(struct item *item)
{
    TAILQ_REMOVE(&item->epoll->ready, item, ready_link);
    item->epoll->nr_ready--;
    item->is_ready = false;
}

/* Any context. */
static void make_ready(struct item *item)
{
    struct epoll *ep = item->epoll;
    bool unmask = spin_lock(&ep->ready_lock);
    bool is_news = append(item);

    if (is_news)
        wake_sleeper(ep);
    spin_unlock(&ep->ready_lock, unmask);
    if (is_news)
        file_wake(&ep->file, POLLIN | POLLRDNORM);
}

static void wake_item(struct poll_waiter *waiter, unsigned events)
{
    (void)events;
    make_ready((struct item *)waiter);
}

/* lock held; the list is not empty. */
static struct item *take_ready(struct epoll *ep)
{
    bool unmask = spin_lock(&ep->ready_lock);
    struct item *item = TAILQ_FIRST(&ep->ready);

    take_off(item);
    spin_unlock(&ep->ready_lock, unmask);
    return item;
}

static unsigned happened(const struct item *item)
{
    return file_poll(item->file) & item->waiter.events;
}

/* --- Items ------------------------------------------------------------------------------------ */

/* lock held; so is file_gone_lock, or a reference to the file. */
static void remove_item(struct item *item)
{
    file_unwatch(item->file, &item->waiter);
    bool unmask = spin_lock(&item->epoll->ready_lock);
    if (item->is_ready)
        take_off(item);
    spin_unlock(&item->epoll->ready_lock, unmask);
    RB_REMOVE(items, &item->epoll->items, item);
    free(item);
}

/* file_gone_lock held. */
static void forget_nesting(struct item *item)
{
    if (is_epoll(item->file)) {
        item->epoll->nr_inner--;
        ((struct epoll *)item->file)->nr_outer--;
    }
}

static void item_gone(struct poll_waiter *waiter)
{
    struct item *item = (struct item *)waiter;
    struct epoll *ep = item->epoll;

    forget_nesting(item);
    mutex_lock(&ep->lock);
    remove_item(item);
    mutex_unlock(&ep->lock);
}

static struct item *find(struct epoll *ep, struct file *file, int fd)
{
    struct item key = {.file = file, .fd = fd};

    return RB_FIND(items, &ep->items, &key);
}

/* New wishes, and whether they hold already. */
static void want(struct item *item, const struct epoll_event *event)
{
    item->wanted = *event;
    __atomic_store_n(&item->waiter.events, (event->events & ~MODES) | ALWAYS, __ATOMIC_SEQ_CST);
    if (happened(item) != 0)
        make_ready(item);
}

static int add(struct epoll *ep, struct file *file, int fd, const struct epoll_event *event)
{
    struct item *item;

    if (find(ep, file, fd) != NULL)
        return -EEXIST;
    item = calloc(1, sizeof(*item));
    if (item == NULL)
        return -ENOMEM;
    item->waiter.wake = wake_item;
    item->waiter.gone = item_gone;
    item->epoll = ep;
    item->file = file;
    item->fd = fd;
    RB_INSERT(items, &ep->items, item);
    file_watch(file, &item->waiter);
    want(item, event);
    return 0;
}

/* lock held. */
static int change(struct epoll *ep, int operation, struct file *file, int fd,
                  const struct epoll_event *event)
{
    struct item *item = find(ep, file, fd);

    switch (operation) {
    case EPOLL_CTL_ADD:
        return add(ep, file, fd, event);
    case EPOLL_CTL_MOD:
        if (item == NULL)
            return -ENOENT;
        if (((event->events | item->wanted.events) & EPOLLEXCLUSIVE) != 0)
            return -EINVAL;
        want(item, event);
        return 0;
    case EPOLL_CTL_DEL:
        if (item == NULL)
            return -ENOENT;
        remove_item(item);
        return 0;
    default:
        return -EINVAL;
    }
}

static int change_locked(struct epoll *ep, int operation, struct file *file, int fd,
                         const struct epoll_event *event)
{
    mutex_lock(&ep->lock);
    int error = change(ep, operation, file, fd, event);
    mutex_unlock(&ep->lock);
    return error;
}

/* A set in a set, but no deeper: so there can be no cycle. */
static int change_nested(struct epoll *outer, int operation, struct epoll *inner, int fd,
                         const struct epoll_event *event)
{
    int error = -ELOOP;

    mutex_lock(&file_gone_lock);
    if (operation != EPOLL_CTL_ADD || (outer->nr_outer == 0 && inner->nr_inner == 0))
        error = change_locked(outer, operation, &inner->file, fd, event);
    if (error == 0 && operation != EPOLL_CTL_MOD) {
        int delta = operation == EPOLL_CTL_ADD ? 1 : -1;
        outer->nr_inner += (unsigned)delta;
        inner->nr_outer += (unsigned)delta;
    }
    mutex_unlock(&file_gone_lock);
    return error;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* lock held. A level-triggered item is asked again next time. */
static void put_back(struct item *item)
{
    bool unmask = spin_lock(&item->epoll->ready_lock);

    append(item);
    spin_unlock(&item->epoll->ready_lock, unmask);
}

/* Threads that wait share what is left. */
static void wake_another(struct epoll *ep)
{
    bool unmask = spin_lock(&ep->ready_lock);

    if (ep->nr_ready != 0)
        wake_sleeper(ep);
    spin_unlock(&ep->ready_lock, unmask);
}

/* Fills in at most max events; each item at most once. */
static int harvest(struct epoll *ep, struct epoll_event *events, int max)
{
    int count = 0;

    mutex_lock(&ep->lock);
    for (unsigned left = ep->nr_ready; left != 0 && count < max; left--) {
        struct item *item = take_ready(ep);
        unsigned now = happened(item);
        if (now == 0)
            continue;
        events[count++] = (struct epoll_event){now, item->wanted.data};
        if ((item->wanted.events & EPOLLONESHOT) != 0)
            item->waiter.events = 0;
        else if ((item->wanted.events & EPOLLET) == 0)
            put_back(item);
    }
    mutex_unlock(&ep->lock);
    wake_another(ep);
    return count;
}

/* Until an item is on the list. -ETIMEDOUT, -EINTR. */
static int sleep_until_ready(struct epoll *ep, uint64_t deadline_ns)
{
    bool unmask = spin_lock(&ep->ready_lock);
    bool must_wait = ep->nr_ready == 0;
    int error = 0;

    if (must_wait)
        ep->sleepers++;
    spin_unlock(&ep->ready_lock, unmask);
    if (must_wait)
        error = semaphore_wait_interruptible(&ep->woken, deadline_ns);
    if (error != 0) {
        unmask = spin_lock(&ep->ready_lock);
        if (semaphore_trywait(&ep->woken) == 0)
            error = 0; /* woken after all */
        else
            ep->sleepers--;
        spin_unlock(&ep->ready_lock, unmask);
    }
    return error;
}

static int wait_until(int epoll, struct epoll_event *events, int max, uint64_t deadline_ns)
{
    struct file *file;
    int count = 0, error = fd_get(epoll, &file);

    if (error != 0)
        return error;
    if (!is_epoll(file) || max <= 0) {
        file_put(file);
        return -EINVAL;
    }
    struct epoll *ep = (struct epoll *)file;
    while ((count = harvest(ep, events, max)) == 0 && error == 0)
        error = sleep_until_ready(ep, deadline_ns);
    file_put(file);
    return count == 0 && error == -EINTR ? error : count;
}

/* --- The file --------------------------------------------------------------------------------- */

static unsigned poll_epoll(struct file *file)
{
    struct epoll *ep = (struct epoll *)file;
    bool is_ready = false;

    mutex_lock(&ep->lock);
    for (unsigned left = ep->nr_ready; left != 0 && !is_ready; left--) {
        struct item *item = take_ready(ep);
        is_ready = happened(item) != 0;
        if (is_ready)
            put_back(item);
    }
    mutex_unlock(&ep->lock);
    return is_ready ? POLLIN | POLLRDNORM : 0;
}

static int stat_epoll(struct file *file, struct stat *out)
{
    (void)file;
    out->st_mode = S_IRUSR | S_IWUSR;
    return 0;
}

static int release_epoll(struct file *file)
{
    struct epoll *ep = (struct epoll *)file;
    struct item *item;

    mutex_lock(&file_gone_lock);
    while ((item = RB_ROOT(&ep->items)) != NULL) {
        forget_nesting(item);
        remove_item(item);
    }
    mutex_unlock(&file_gone_lock);
    free(ep);
    return 0;
}

static const struct file_ops epoll_ops = {
    .stat = stat_epoll,
    .poll = poll_epoll,
    .release = release_epoll,
};

/* --- System calls ----------------------------------------------------------------------------- */

int epoll_create1(int flags)
{
    struct epoll *ep;

    if ((flags & ~EPOLL_CLOEXEC) != 0)
        return (int)glue_result(-EINVAL);
    ep = calloc(1, sizeof(*ep));
    if (ep == NULL)
        return (int)glue_result(-ENOMEM);
    file_init(&ep->file, &epoll_ops, O_RDWR);
    TAILQ_INIT(&ep->ready);
    int fd = fd_open(&ep->file, (flags & EPOLL_CLOEXEC) != 0 ? O_CLOEXEC : 0);
    if (fd < 0)
        file_put(&ep->file);
    return (int)glue_result(fd);
}

int epoll_create(int size)
{
    return size > 0 ? epoll_create1(0) : (int)glue_result(-EINVAL);
}

static int change_file(struct file *set, int operation, struct file *file, int fd,
                       const struct epoll_event *event)
{
    if (event == NULL && operation != EPOLL_CTL_DEL)
        return -EFAULT;
    if (file->ops->poll == NULL)
        return -EPERM;
    if (!is_epoll(set) || set == file)
        return -EINVAL;
    if (is_epoll(file))
        return change_nested((struct epoll *)set, operation, (struct epoll *)file, fd, event);
    return change_locked((struct epoll *)set, operation, file, fd, event);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct file *set, *file;
    int error = fd_get(epoll, &set);

    if (error != 0)
        return (int)glue_result(error);
    error = fd_get(fd, &file);
    if (error == 0) {
        error = change_file(set, operation, file, fd, event);
        file_put(file);
    }
    file_put(set);
    return (int)glue_result(error);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
    return (int)glue_interruptible_result(
        wait_until(epoll, events, max, deadline_after_ms(timeout_ms)));
}

static int wait_masked(int epoll, struct epoll_event *events, int max, uint64_t deadline_ns,
                       const sigset_t *mask)
{
    sigset_t old = mask != NULL ? signal_begin_masked(mask) : 0;
    int result = (int)glue_interruptible_result(wait_until(epoll, events, max, deadline_ns));

    if (mask != NULL)
        signal_end_masked(old);
    return result;
}

int epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout_ms,
                const sigset_t *mask)
{
    return wait_masked(epoll, events, max, deadline_after_ms(timeout_ms), mask);
}

int epoll_pwait2(int epoll, struct epoll_event *events, int max, const struct timespec *timeout,
                 const sigset_t *mask)
{
    uint64_t deadline_ns;
    int error = deadline_after(timeout, &deadline_ns);

    return error != 0 ? (int)glue_result(error)
                      : wait_masked(epoll, events, max, deadline_ns, mask);
}
