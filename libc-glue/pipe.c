/*
 * Pipes: a ring of bytes (ring.h) between a file to write and a file to read.
 *
 * Ordinary calls from threads; they sleep as pipe(7) says. Lock: `lock` of each pipe protects all
 * of it.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/ring.h"

#define ATOMIC_BYTES 4096u /* PIPE_BUF: a write up to this is whole or not at all */

struct pipe {
    struct file ends[2]; /* READ_END, WRITE_END */
    struct mutex lock;
    struct cond changed;
    bool open[2];
    struct ring ring;
};

enum { READ_END, WRITE_END };

static const struct file_ops ops[2];

static struct pipe *pipe_of(struct file *file, int end)
{
    return (struct pipe *)((char *)file - offsetof(struct pipe, ends[end]));
}

/* lock held: it is given up until somebody else does something. */
static int wait_for_change(struct pipe *p, int end)
{
    if (file_is_nonblocking(&p->ends[end]))
        return -EAGAIN;
    return cond_wait_interruptible(&p->changed, &p->lock, DEADLINE_NEVER);
}

static ssize_t read_pipe(struct file *file, const struct iovec *to, int count, off_t *position)
{
    struct pipe *p = pipe_of(file, READ_END);
    ssize_t done = 0;
    int error = 0;

    (void)position;
    mutex_lock(&p->lock);
    while (ring_filled(&p->ring) == 0 && p->open[WRITE_END] && error == 0)
        error = wait_for_change(p, READ_END);
    for (int i = 0; i < count; i++)
        done += ring_take(&p->ring, to[i].iov_base, to[i].iov_len);
    if (done != 0)
        cond_broadcast(&p->changed);
    mutex_unlock(&p->lock);
    if (done != 0)
        file_wake(&p->ends[WRITE_END], POLLOUT | POLLWRNORM);
    return done != 0 ? done : error;
}

/* lock held. Until `bytes` fit. -EPIPE: nobody will read any more. */
static int wait_for_room(struct pipe *p, uint32_t bytes)
{
    int error = 0;

    while (p->open[READ_END] && ring_room(&p->ring) < bytes && error == 0)
        error = wait_for_change(p, WRITE_END);
    return p->open[READ_END] ? error : -EPIPE;
}

static ssize_t write_pipe(struct file *file, const struct iovec *from, int count, off_t *position)
{
    struct pipe *p = pipe_of(file, WRITE_END);
    size_t total = 0;
    ssize_t done = 0;
    int error = 0;

    (void)position;
    for (int i = 0; i < count; i++)
        total += from[i].iov_len;
    mutex_lock(&p->lock);
    if (total != 0)
        error = wait_for_room(p, total <= ATOMIC_BYTES ? (uint32_t)total : 1);
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < from[i].iov_len && error == 0;) {
            uint32_t part = ring_put(&p->ring, (char *)from[i].iov_base + at, from[i].iov_len - at);
            at += part;
            done += part;
            cond_broadcast(&p->changed);
            file_wake(&p->ends[READ_END], POLLIN | POLLRDNORM);
            if ((size_t)done < total)
                error = wait_for_room(p, 1);
        }
    }
    mutex_unlock(&p->lock);
    if (error == -EPIPE)
        raise(SIGPIPE);
    return done != 0 ? done : error;
}

static unsigned poll_read_end(struct file *file)
{
    struct pipe *p = pipe_of(file, READ_END);
    unsigned events = 0;

    mutex_lock(&p->lock);
    if (ring_filled(&p->ring) != 0)
        events |= POLLIN | POLLRDNORM;
    if (!p->open[WRITE_END])
        events |= POLLHUP;
    mutex_unlock(&p->lock);
    return events;
}

static unsigned poll_write_end(struct file *file)
{
    struct pipe *p = pipe_of(file, WRITE_END);
    unsigned events = 0;

    mutex_lock(&p->lock);
    if (ring_room(&p->ring) >= ATOMIC_BYTES)
        events |= POLLOUT | POLLWRNORM;
    if (!p->open[READ_END])
        events |= POLLERR;
    mutex_unlock(&p->lock);
    return events;
}

static int stat_pipe(struct file *file, struct stat *out)
{
    (void)file;
    out->st_mode = S_IFIFO | S_IRUSR | S_IWUSR;
    out->st_blksize = ATOMIC_BYTES;
    return 0;
}

static int control_pipe(struct file *file, unsigned long request, void *argument)
{
    int end = file->ops == &ops[READ_END] ? READ_END : WRITE_END;

    if (request != FIONREAD)
        return -ENOTTY;
    *(int *)argument = (int)ring_filled(&pipe_of(file, end)->ring);
    return 0;
}

static int close_end(struct pipe *p, int end)
{
    mutex_lock(&p->lock);
    p->open[end] = false;
    bool is_last = !p->open[!end];
    cond_broadcast(&p->changed);
    if (!is_last)
        file_wake(&p->ends[!end], end == WRITE_END ? POLLHUP : POLLERR);
    mutex_unlock(&p->lock);
    if (is_last)
        free(p);
    return 0;
}

static int release_read_end(struct file *file)
{
    return close_end(pipe_of(file, READ_END), READ_END);
}

static int release_write_end(struct file *file)
{
    return close_end(pipe_of(file, WRITE_END), WRITE_END);
}

static const struct file_ops ops[2] = {
    [READ_END] =
        {
            .read = read_pipe,
            .stat = stat_pipe,
            .ioctl = control_pipe,
            .poll = poll_read_end,
            .release = release_read_end,
        },
    [WRITE_END] =
        {
            .write = write_pipe,
            .stat = stat_pipe,
            .ioctl = control_pipe,
            .poll = poll_write_end,
            .release = release_write_end,
        },
};

static int make_pipe(int fds[2], int flags)
{
    struct pipe *p = malloc(sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    fds[READ_END] = fd_reserve(0, flags);
    fds[WRITE_END] = fds[READ_END] >= 0 ? fd_reserve(0, flags) : fds[READ_END];
    if (fds[WRITE_END] < 0) {
        if (fds[READ_END] >= 0)
            fd_cancel(fds[READ_END]);
        free(p);
        return fds[WRITE_END];
    }
    memset(p, 0, offsetof(struct pipe, ring.bytes));
    p->open[READ_END] = p->open[WRITE_END] = true;
    file_init(&p->ends[READ_END], &ops[READ_END], O_RDONLY | (flags & O_NONBLOCK));
    file_init(&p->ends[WRITE_END], &ops[WRITE_END], O_WRONLY | (flags & O_NONBLOCK));
    fd_install(fds[READ_END], &p->ends[READ_END]);
    fd_install(fds[WRITE_END], &p->ends[WRITE_END]);
    return 0;
}

int pipe2(int fds[2], int flags)
{
    int new_fds[2];
    int error = (flags & ~(O_NONBLOCK | O_CLOEXEC)) != 0 ? -EINVAL : make_pipe(new_fds, flags);

    if (error == 0)
        memcpy(fds, new_fds, sizeof(new_fds)); /* untouched in case of an error: pipe(2) */
    return (int)glue_result(error);
}

int pipe(int fds[2])
{
    return pipe2(fds, 0);
}
