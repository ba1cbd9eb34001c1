/*
 * References to open files, and waiting for them.
 *
 * Callers: see file.h. Locks: waiters_lock of a file protects its list of waiters; file_gone_lock
 * see file.h. Order: file_gone_lock, waiters_lock, what `wake` takes.
 */
#include "libc-glue/file.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/thread.h"
#include "libc-glue/fs.h"

struct mutex file_gone_lock = MUTEX_INIT;

void file_init(struct file *file, const struct file_ops *ops, int flags)
{
    *file = (struct file){.ops = ops, .references = 1, .flags = flags};
}

/* Nobody can find the file any more, but waiters without a reference still know it. */
static void forget_waiters(struct file *file)
{
    bool unmask = spin_lock(&file->waiters_lock);
    struct poll_waiter *waiter = LIST_FIRST(&file->waiters);

    spin_unlock(&file->waiters_lock, unmask);
    if (waiter == NULL)
        return;
    mutex_lock(&file_gone_lock);
    while ((waiter = LIST_FIRST(&file->waiters)) != NULL)
        waiter->gone(waiter);
    mutex_unlock(&file_gone_lock);
}

int file_put(struct file *file)
{
    /* Release and acquire: what others did to the file comes before its end. */
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
        return 0;
    forget_waiters(file);
    if (file->forget != NULL)
        file->forget(file);
    struct fs_node node = file->node;
    int result = file->ops->release != NULL ? file->ops->release(file) : 0;
    fs_put(node);
    return result;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

void file_watch(struct file *file, struct poll_waiter *waiter)
{
    bool unmask = spin_lock(&file->waiters_lock);

    LIST_INSERT_HEAD(&file->waiters, waiter, link);
    spin_unlock(&file->waiters_lock, unmask);
}

void file_unwatch(struct file *file, struct poll_waiter *waiter)
{
    bool unmask = spin_lock(&file->waiters_lock);

    LIST_REMOVE(waiter, link);
    spin_unlock(&file->waiters_lock, unmask);
}

unsigned file_poll(struct file *file)
{
    return file->ops->poll != NULL ? file->ops->poll(file)
                                   : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

void file_wake(struct file *file, unsigned events)
{
    struct poll_waiter *waiter;
    bool unmask = spin_lock(&file->waiters_lock);

    LIST_FOREACH(waiter, &file->waiters, link)
    {
        if ((events & waiter->events) != 0)
            waiter->wake(waiter, events);
    }
    spin_unlock(&file->waiters_lock, unmask);
    if (unmask)
        thread_give_way();
}

struct sleeper {
    struct poll_waiter waiter;
    struct semaphore woken;
};

static void wake_sleeper(struct poll_waiter *waiter, unsigned events)
{
    (void)events;
    semaphore_post(&((struct sleeper *)waiter)->woken);
}

int file_wait(struct file *file, unsigned events, uint64_t deadline_ns)
{
    struct sleeper sleeper = {
        .waiter = {.events = events | POLLERR | POLLHUP, .wake = wake_sleeper},
    };
    int result = 0;

    thread_defer_interrupts(); /* a handler may jump away */
    file_watch(file, &sleeper.waiter);
    while (result == 0 && (file_poll(file) & sleeper.waiter.events) == 0)
        result = semaphore_wait_interruptible(&sleeper.woken, deadline_ns);
    file_unwatch(file, &sleeper.waiter);
    thread_allow_interrupts();
    return result;
}
