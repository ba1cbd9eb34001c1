/*
 * Advisory locks on files. Those of flock belong to open files. Those of fcntl and lockf belong to
 * processes, of which there is one: nothing is ever in their way.
 *
 * Ordinary calls from threads; flock sleeps until it has the lock. Lock: `lock` protects the list.
 * Sources: Linux's flock(2); POSIX.1-2017, fcntl and lockf.
 */
#include "libc-glue/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

struct file_lock {
    LIST_ENTRY(file_lock) link;
    const struct file *owner;
    dev_t device; /* of what is locked, as number */
    ino_t number;
    bool is_exclusive;
};

static struct mutex lock = MUTEX_INIT;
static struct cond released;
static LIST_HEAD(, file_lock) locks;

/* lock held. NULL: none. */
static struct file_lock *lock_of(const struct file *file)
{
    struct file_lock *l;

    LIST_FOREACH(l, &locks, link)
    if (l->owner == file)
        break;
    return l;
}

/* lock held. Somebody else's lock does not allow this one. */
static bool is_in_the_way(const struct file_lock *wanted)
{
    const struct file_lock *l;

    LIST_FOREACH(l, &locks, link)
    if (l->owner != wanted->owner && l->device == wanted->device && l->number == wanted->number &&
        (l->is_exclusive || wanted->is_exclusive))
        return true;
    return false;
}

static void unlock(struct file *file)
{
    mutex_lock(&lock);
    struct file_lock *l = lock_of(file);
    if (l != NULL) {
        LIST_REMOVE(l, link);
        cond_broadcast(&released);
    }
    mutex_unlock(&lock);
    free(l);
}

/* Takes over `wanted`. An old lock of the file is given up first: it may be lost. */
static int take(struct file *file, struct file_lock *wanted, bool may_wait)
{
    int error = 0;

    unlock(file);
    mutex_lock(&lock);
    while (error == 0 && is_in_the_way(wanted))
        error = may_wait ? cond_wait_interruptible(&released, &lock, DEADLINE_NEVER) : -EWOULDBLOCK;
    if (error == 0 && lock_of(file) == NULL) {
        LIST_INSERT_HEAD(&locks, wanted, link);
        wanted = NULL;
        file->forget = unlock;
    }
    mutex_unlock(&lock);
    free(wanted);
    return error;
}

static int lock_file(struct file *file, int operation)
{
    struct stat info = {0};

    if ((operation & ~LOCK_NB) == LOCK_UN) {
        unlock(file);
        return 0;
    }
    if ((operation & ~LOCK_NB) != LOCK_SH && (operation & ~LOCK_NB) != LOCK_EX)
        return -EINVAL;
    int error = file->ops->stat != NULL ? file->ops->stat(file, &info) : -EINVAL;
    if (error != 0)
        return error;
    struct file_lock *wanted = malloc(sizeof(*wanted));
    if (wanted == NULL)
        return -ENOLCK;
    *wanted = (struct file_lock){
        .owner = file,
        .device = info.st_dev,
        .number = info.st_ino,
        .is_exclusive = (operation & LOCK_EX) != 0,
    };
    return take(file, wanted, (operation & LOCK_NB) == 0);
}

int flock(int fd, int operation)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error == 0) {
        do {
            error = lock_file(file, operation);
        } while (glue_restarts(error));
        file_put(file);
    }
    return (int)glue_result(error);
}

int file_lock_control(struct file *file, int command, struct flock *range)
{
    struct stat info = {0};
    off_t start = range->l_start;

    if (range->l_whence == SEEK_CUR) {
        start += file->position;
    } else if (range->l_whence == SEEK_END) {
        int error = file->ops->stat != NULL ? file->ops->stat(file, &info) : -EINVAL;
        if (error != 0)
            return error;
        start += info.st_size;
    } else if (range->l_whence != SEEK_SET) {
        return -EINVAL;
    }
    if (start < 0 || start + (range->l_len < 0 ? range->l_len : 0) < 0)
        return -EINVAL;
    if (range->l_type != F_RDLCK && range->l_type != F_WRLCK &&
        (range->l_type != F_UNLCK || command == F_GETLK))
        return -EINVAL;
    if (command == F_GETLK)
        range->l_type = F_UNLCK;
    else if ((range->l_type == F_RDLCK && !file_is_readable(file)) ||
             (range->l_type == F_WRLCK && !file_is_writable(file)))
        return -EBADF;
    return 0;
}

int lockf(int fd, int command, off_t bytes)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = bytes};

    switch (command) {
    case F_ULOCK:
        range.l_type = F_UNLCK;
        return fcntl(fd, F_SETLK, &range);
    case F_LOCK:
        return fcntl(fd, F_SETLKW, &range);
    case F_TLOCK:
        return fcntl(fd, F_SETLK, &range);
    case F_TEST:
        return fcntl(fd, F_GETLK, &range);
    default:
        return (int)glue_result(-EINVAL);
    }
}
