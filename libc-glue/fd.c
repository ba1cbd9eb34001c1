/*
 * The table of descriptors, and the system calls on the table itself.
 *
 * Callers: see fd.h. Lock: table_lock protects the table; nothing else is taken under it.
 */
#include "libc-glue/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "libc-glue/console_file.h"
#include "libc-glue/file_lock.h"
#include "libc-glue/glue.h"

/* Descriptors come in groups, none of which ever moves or goes; all but the first are allocated
 * when they are needed. */
#define GROUP_FDS 256
#define WORD_FDS 64

struct fd_group {
    uint64_t used[GROUP_FDS / WORD_FDS];          /* bit: the descriptor is open or reserved */
    uint64_t close_on_exec[GROUP_FDS / WORD_FDS]; /* nothing executes: kept to be asked for */
    struct file *files[GROUP_FDS];                /* NULL: free or reserved */
};

static struct spinlock table_lock;
static atomic_int limit = FD_LIMIT;
static struct fd_group first_group, *groups[FD_LIMIT / GROUP_FDS];
static int lowest_free; /* no descriptor below is free */

/* NULL: fd is no descriptor, or its group is not there yet. */
static struct fd_group *group_of(int fd)
{
    return (unsigned)fd < FD_LIMIT ? groups[fd / GROUP_FDS] : NULL;
}

static uint64_t *word_of(int fd, uint64_t *bits)
{
    return &bits[fd % GROUP_FDS / WORD_FDS];
}

static uint64_t bit_of(int fd)
{
    return UINT64_C(1) << fd % WORD_FDS;
}

/* table_lock held. */
static struct file *file_of(int fd)
{
    struct fd_group *group = group_of(fd);

    return group != NULL ? group->files[fd % GROUP_FDS] : NULL;
}

int fd_get(int fd, struct file **out)
{
    bool unmask = spin_lock(&table_lock);
    struct file *file = file_of(fd);

    if (file != NULL)
        *out = file_reference(file);
    spin_unlock(&table_lock, unmask);
    return file != NULL ? 0 : -EBADF;
}

/* Makes sure that fd's group exists. */
static int add_group(int fd)
{
    if (group_of(fd) != NULL)
        return 0;
    struct fd_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return -ENOMEM;
    bool unmask = spin_lock(&table_lock);
    if (groups[fd / GROUP_FDS] == NULL) {
        groups[fd / GROUP_FDS] = group;
        group = NULL;
    }
    spin_unlock(&table_lock, unmask);
    free(group); /* another thread was faster */
    return 0;
}

/* table_lock held. The lowest free descriptor from `lowest` on, or FD_LIMIT. */
static int find_free(int lowest)
{
    int fd = lowest > lowest_free ? lowest : lowest_free;

    while (fd < FD_LIMIT) {
        struct fd_group *group = group_of(fd);
        uint64_t free_here = ~(group != NULL ? *word_of(fd, group->used) : 0) >> fd % WORD_FDS;
        if (free_here != 0)
            return fd + __builtin_ctzll(free_here);
        fd = (fd / WORD_FDS + 1) * WORD_FDS;
    }
    return FD_LIMIT;
}

/* table_lock held; the group exists. */
static void take(int fd, struct file *file, int flags)
{
    struct fd_group *group = group_of(fd);

    *word_of(fd, group->used) |= bit_of(fd);
    *word_of(fd, group->close_on_exec) &= ~bit_of(fd);
    if ((flags & O_CLOEXEC) != 0)
        *word_of(fd, group->close_on_exec) |= bit_of(fd);
    group->files[fd % GROUP_FDS] = file;
}

int fd_limit(void)
{
    return atomic_load_explicit(&limit, memory_order_relaxed);
}

void fd_set_limit(int new_limit)
{
    atomic_store_explicit(&limit, new_limit, memory_order_relaxed);
}

int fd_reserve(int lowest, int flags)
{
    for (;;) {
        bool unmask = spin_lock(&table_lock);
        int fd = find_free(lowest);
        bool has_group = fd < fd_limit() && group_of(fd) != NULL;

        if (has_group) {
            take(fd, NULL, flags);
            if (lowest <= lowest_free)
                lowest_free = fd + 1;
        }
        spin_unlock(&table_lock, unmask);
        if (has_group)
            return fd;
        if (fd >= fd_limit())
            return -EMFILE;
        int error = add_group(fd);
        if (error != 0)
            return error;
    }
}

void fd_install(int fd, struct file *file)
{
    bool unmask = spin_lock(&table_lock);

    group_of(fd)->files[fd % GROUP_FDS] = file;
    spin_unlock(&table_lock, unmask);
}

/* table_lock held. */
static void give_back(int fd)
{
    struct fd_group *group = group_of(fd);

    group->files[fd % GROUP_FDS] = NULL;
    *word_of(fd, group->used) &= ~bit_of(fd);
    if (fd < lowest_free)
        lowest_free = fd;
}

void fd_cancel(int fd)
{
    bool unmask = spin_lock(&table_lock);

    give_back(fd);
    spin_unlock(&table_lock, unmask);
}

int fd_open(struct file *file, int flags)
{
    int fd = fd_reserve(0, flags);

    if (fd >= 0)
        fd_install(fd, file);
    return fd;
}

void fd_init(void)
{
    groups[0] = &first_group;
    take(STDIN_FILENO, file_reference(&console_input), 0);
    take(STDOUT_FILENO, file_reference(&console_output), 0);
    take(STDERR_FILENO, file_reference(&console_output), 0);
    lowest_free = STDERR_FILENO + 1;
}

/* --- System calls ----------------------------------------------------------------------------- */

int close(int fd)
{
    bool unmask = spin_lock(&table_lock);
    struct file *file = file_of(fd);

    if (file != NULL)
        give_back(fd);
    spin_unlock(&table_lock, unmask);
    return (int)glue_result(file != NULL ? file_put(file) : -EBADF);
}

/* The lowest free descriptor from `lowest` on becomes another name of fd's file. */
static int duplicate(int fd, int lowest, int flags)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error != 0)
        return error;
    int copy = lowest < 0 || lowest >= fd_limit() ? -EINVAL : fd_reserve(lowest, flags);
    if (copy >= 0)
        fd_install(copy, file);
    else
        file_put(file);
    return copy;
}

int dup(int fd)
{
    return (int)glue_result(duplicate(fd, 0, 0));
}

/* `copy` becomes another name of file, whose reference it takes; *out_old is what it named. */
static int replace(int copy, struct file *file, int flags, struct file **out_old)
{
    int error = add_group(copy);

    if (error != 0)
        return error;
    bool unmask = spin_lock(&table_lock);
    *out_old = file_of(copy);
    if (*out_old == NULL && (*word_of(copy, group_of(copy)->used) & bit_of(copy)) != 0)
        error = -EBUSY; /* another thread is about to open it, see Linux's dup2(2) */
    else
        take(copy, file, flags);
    spin_unlock(&table_lock, unmask);
    return error;
}

static int duplicate_to(int fd, int copy, int flags)
{
    struct file *file, *old = NULL;
    int error = fd_get(fd, &file);

    if (error != 0)
        return error;
    error = copy < 0 || copy >= fd_limit() ? -EBADF : replace(copy, file, flags, &old);
    if (error != 0)
        old = file;
    if (old != NULL)
        file_put(old); /* what closing it returns is lost: dup2(2) */
    return error != 0 ? error : copy;
}

int dup2(int fd, int copy)
{
    struct file *file;

    if (fd != copy)
        return (int)glue_result(duplicate_to(fd, copy, 0));
    int error = fd_get(fd, &file);
    if (error == 0)
        file_put(file);
    return (int)glue_result(error != 0 ? error : copy);
}

int dup3(int fd, int copy, int flags)
{
    if (fd == copy || (flags & ~O_CLOEXEC) != 0)
        return (int)glue_result(-EINVAL);
    return (int)glue_result(duplicate_to(fd, copy, flags));
}

/* The descriptor's own flag; `set` < 0: only asks. */
static int close_on_exec(int fd, int set)
{
    bool unmask = spin_lock(&table_lock);
    uint64_t *word = word_of(fd, group_of(fd)->close_on_exec);
    int result = (*word & bit_of(fd)) != 0 ? FD_CLOEXEC : 0;

    if (set == 0)
        *word &= ~bit_of(fd);
    if (set > 0)
        *word |= bit_of(fd);
    spin_unlock(&table_lock, unmask);
    return result;
}

/* Commands that change the table, or the descriptor's entry in it. */
static int control(int fd, struct file *file, int command, int argument)
{
    const int changeable = O_APPEND | O_NONBLOCK; /* the others are ignored: Linux's fcntl(2) */
    int flags;

    switch (command) {
    case F_DUPFD:
        return duplicate(fd, argument, 0);
    case F_DUPFD_CLOEXEC:
        return duplicate(fd, argument, O_CLOEXEC);
    case F_GETFD:
        return close_on_exec(fd, -1);
    case F_SETFD:
        close_on_exec(fd, (argument & FD_CLOEXEC) != 0);
        return 0;
    case F_GETFL:
        return atomic_load(&file->flags);
    case F_SETFL:
        flags = atomic_load(&file->flags);
        while (!atomic_compare_exchange_weak(&file->flags, &flags,
                                             (flags & ~changeable) | (argument & changeable)))
            ;
        return 0;
    default:
        return -EINVAL;
    }
}

int fcntl(int fd, int command, ...)
{
    struct file *file;
    va_list args;
    int result = fd_get(fd, &file);

    va_start(args, command);
    if (result == 0) {
        if (command == F_GETLK || command == F_SETLK || command == F_SETLKW)
            result = file_lock_control(file, command, va_arg(args, struct flock *));
        else
            result = control(fd, file, command, va_arg(args, int));
        file_put(file);
    }
    va_end(args);
    return (int)glue_result(result);
}
