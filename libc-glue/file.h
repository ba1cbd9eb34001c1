/*
 * Open files: what descriptors name (fd.h).
 *
 * An open file (POSIX: open file description) is a struct file inside an object of its kind: the
 * console, a socket, a file of a tree, a pipe. It lives while it is referenced: once for each
 * descriptor, once for each call under way. So what is closed under a call that sleeps in it goes
 * when that call ends, as on Linux.
 *
 * Callers: system calls of libc-glue, from threads; file_wake alone may be called anywhere, event
 * handlers included. Results are 0 or more, or a negative errno.
 */
#ifndef LIBC_GLUE_FILE_H
#define LIBC_GLUE_FILE_H

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "kernel/spinlock.h"
#include "kernel/sync.h"

struct file;
struct fs_ops;

/* A file, folder, link or device of a file system (fs.h). */
struct fs_node {
    const struct fs_ops *fs; /* NULL: none */
    uintptr_t id;            /* the file system's own */
};

/* The memory behind a page of a file. */
struct file_page {
    void *memory; /* NULL: the file ends before */
    uintptr_t held;
};

/*
 * What a kind of file can do; a NULL operation has the stated meaning. All are called with a
 * reference held, most by several threads at once, and may sleep unless said otherwise.
 *
 * Transfers get 1..IOV_MAX vectors, whose sum a ssize_t can hold, and honour O_NONBLOCK in
 * file->flags. A read asks for at least one byte, a write may have none.
 */
struct file_ops {
    /* Whether bytes have positions: transfers then use and advance *position (of this file, locked,
     * or of pread), else position is NULL. */
    bool seekable;
    ssize_t (*read)(struct file *file, const struct iovec *to, int count,
                    off_t *position); /* NULL: -EINVAL */
    ssize_t (*write)(struct file *file, const struct iovec *from, int count,
                     off_t *position); /* NULL: -EINVAL */
    int (*sync)(struct file *file);    /* fsync. NULL: -EINVAL */
    int (*allocate)(struct file *file, off_t start,
                    off_t bytes);                     /* posix_fallocate. NULL: refused */
    int (*stat)(struct file *file, struct stat *out); /* *out is zeroed. NULL: -EBADF */
    int (*ioctl)(struct file *file, unsigned long request, void *argument); /* NULL: -ENOTTY */
    ssize_t (*entries)(struct file *file, void *buffer, size_t bytes,
                       off_t *position); /* of a directory: struct dirent. NULL: -ENOTDIR */
    /* For MAP_SHARED: `count` pages of memory that are the file's from page `first` on. Each stays,
     * though it may no longer be the file's, until it is let go, which does not sleep long and may
     * come after the file's release. NULL: -ENODEV. */
    int (*hold_pages)(struct file *file, uint64_t first, size_t count, struct file_page *out);
    void (*let_page_go)(uintptr_t held);
    /* What is true now, of POLLIN..POLLRDHUP; does not wait for it. NULL: always readable and
     * writable, and refused by epoll. Whoever makes an event true calls file_wake afterwards. */
    unsigned (*poll)(struct file *file);
    /* The last reference is gone: frees the file. NULL: nothing to do. */
    int (*release)(struct file *file);
};

/* Who waits for events of a file. */
struct poll_waiter {
    LIST_ENTRY(poll_waiter) link;
    unsigned events; /* that it wants to hear of */
    /* Some of `events` may have become true. Any context, events masked, a spin lock held. */
    void (*wake)(struct poll_waiter *waiter, unsigned events);
    /* The file is about to be released: must remove the waiter. Thread context, file_gone_lock
     * held. NULL: the waiter holds a reference to the file, so this cannot happen. */
    void (*gone)(struct poll_waiter *waiter);
};

struct file {
    const struct file_ops *ops;
    atomic_uint references;
    atomic_int flags;    /* O_ACCMODE, O_APPEND, O_NONBLOCK, ... */
    off_t position;      /* of a seekable file; position_lock */
    struct fs_node node; /* what was opened, with a reference; or none */
    /* Before it is released: forgets what others keep about it. NULL: nothing. */
    void (*forget)(struct file *file);
    struct mutex position_lock;
    struct spinlock waiters_lock;
    LIST_HEAD(, poll_waiter) waiters; /* waiters_lock */
};

/* A file with one reference, which is the caller's. It has no node. */
void file_init(struct file *file, const struct file_ops *ops, int flags);
static inline struct file *file_reference(struct file *file)
{
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    return file;
}
/* Gives up a reference; with the last one, what releasing the file returned. */
int file_put(struct file *file);

static inline bool file_is_readable(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & O_ACCMODE) != O_WRONLY;
}

static inline bool file_is_writable(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & O_ACCMODE) != O_RDONLY;
}

static inline bool file_is_nonblocking(const struct file *file)
{
    return (atomic_load_explicit(&file->flags, memory_order_relaxed) & O_NONBLOCK) != 0;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* From poll's answer on, each event that becomes true calls waiter->wake, until file_unwatch. */
void file_watch(struct file *file, struct poll_waiter *waiter);
void file_unwatch(struct file *file, struct poll_waiter *waiter);
unsigned file_poll(struct file *file);
/* Tells the waiters that `events` may have become true. */
void file_wake(struct file *file, unsigned events);
/* Sleeps until one of `events` (or POLLERR, POLLHUP) is true; -ETIMEDOUT at the deadline
 * (libc-glue/deadline.h); -EINTR. */
int file_wait(struct file *file, unsigned events, uint64_t deadline_ns);

/* Held while `gone` is called. Whoever removes a waiter without a reference to its file holds it.
 */
extern struct mutex file_gone_lock;

#endif
