/*
 * eventfd: a counter as a file.
 *
 * Ordinary calls from threads; they sleep where eventfd(2) says so. Lock: `lock` of each protects
 * its counter.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct counter {
    struct file file; /* first */
    struct mutex lock;
    struct cond changed;
    bool is_semaphore;
    uint64_t count;
};

/* lock held: it is given up while waiting for the count to change. */
static int wait_for_change(struct counter *c)
{
    if (file_is_nonblocking(&c->file))
        return -EAGAIN;
    return cond_wait_interruptible(&c->changed, &c->lock, DEADLINE_NEVER);
}

static void tell(struct counter *c, unsigned events)
{
    cond_broadcast(&c->changed);
    file_wake(&c->file, events);
}

static ssize_t read_counter(struct file *file, const struct iovec *to, int count, off_t *position)
{
    struct counter *c = (struct counter *)file;
    int error = 0;

    (void)count, (void)position;
    if (to->iov_len < sizeof(uint64_t))
        return -EINVAL;
    mutex_lock(&c->lock);
    while (c->count == 0 && error == 0)
        error = wait_for_change(c);
    if (error == 0) {
        uint64_t taken = c->is_semaphore ? 1 : c->count;
        c->count -= taken;
        memcpy(to->iov_base, &taken, sizeof(taken));
        tell(c, POLLOUT | POLLWRNORM);
    }
    mutex_unlock(&c->lock);
    return error != 0 ? error : (ssize_t)sizeof(uint64_t);
}

static ssize_t write_counter(struct file *file, const struct iovec *from, int count,
                             off_t *position)
{
    struct counter *c = (struct counter *)file;
    uint64_t value;
    int error = 0;

    (void)count, (void)position;
    if (from->iov_len < sizeof(value))
        return -EINVAL;
    memcpy(&value, from->iov_base, sizeof(value));
    if (value > COUNT_MAX)
        return -EINVAL;
    mutex_lock(&c->lock);
    while (value > COUNT_MAX - c->count && error == 0)
        error = wait_for_change(c);
    if (error == 0) {
        c->count += value;
        tell(c, POLLIN | POLLRDNORM);
    }
    mutex_unlock(&c->lock);
    return error != 0 ? error : (ssize_t)sizeof(value);
}

static unsigned poll_counter(struct file *file)
{
    uint64_t count = __atomic_load_n(&((struct counter *)file)->count, __ATOMIC_RELAXED);

    return (count != 0 ? POLLIN | POLLRDNORM : 0) | (count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static int stat_counter(struct file *file, struct stat *out)
{
    (void)file;
    out->st_mode = S_IRUSR | S_IWUSR;
    return 0;
}

static int release_counter(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops counter_ops = {
    .read = read_counter,
    .write = write_counter,
    .stat = stat_counter,
    .poll = poll_counter,
    .release = release_counter,
};

int eventfd(unsigned initial, int flags)
{
    struct counter *c;

    if ((flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) != 0)
        return (int)glue_result(-EINVAL);
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return (int)glue_result(-ENOMEM);
    file_init(&c->file, &counter_ops, O_RDWR | ((flags & EFD_NONBLOCK) != 0 ? O_NONBLOCK : 0));
    c->count = initial;
    c->is_semaphore = (flags & EFD_SEMAPHORE) != 0;
    int fd = fd_open(&c->file, (flags & EFD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
    if (fd < 0)
        file_put(&c->file);
    return (int)glue_result(fd);
}

int eventfd_read(int fd, eventfd_t *value)
{
    return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t value)
{
    return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}
