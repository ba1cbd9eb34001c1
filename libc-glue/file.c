/*
 * File descriptors: 0, 1 and 2 are the console; there is no file system, so no path names anything.
 *
 * Ordinary calls from threads; read sleeps until there is input.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/console.h"
#include "libc-glue/glue.h"

#define CONSOLE_FDS 3
#define CONSOLE_BLOCK_BYTES 1024 /* what stdio allocates for a stream */

/* Bit n: descriptor n is closed. */
static atomic_uint closed_fds;

static bool is_open(int fd)
{
    return fd >= 0 && fd < CONSOLE_FDS && (atomic_load(&closed_fds) & 1u << fd) == 0;
}

int close(int fd)
{
    if (!is_open(fd))
        return glue_result(-EBADF);
    atomic_fetch_or(&closed_fds, 1u << fd);
    return 0;
}

ssize_t read(int fd, void *buffer, size_t bytes)
{
    if (fd != STDIN_FILENO || !is_open(fd))
        return glue_result(-EBADF);
    if (bytes == 0)
        return 0;
    return glue_result(console_read(buffer, bytes < INT_MAX ? bytes : INT_MAX));
}

ssize_t write(int fd, const void *buffer, size_t bytes)
{
    if (fd == STDIN_FILENO || !is_open(fd))
        return glue_result(-EBADF);
    console_write(buffer, bytes);
    return (ssize_t)bytes;
}

off_t lseek(int fd, off_t offset, int whence)
{
    (void)offset, (void)whence;
    return glue_result(is_open(fd) ? -ESPIPE : -EBADF);
}

int fstat(int fd, struct stat *out)
{
    if (!is_open(fd))
        return glue_result(-EBADF);
    *out = (struct stat){
        .st_mode = S_IFCHR | S_IRUSR | S_IWUSR,
        .st_nlink = 1,
        .st_blksize = CONSOLE_BLOCK_BYTES,
    };
    return 0;
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    int flags = fd == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    int wanted;

    if (!is_open(fd))
        return glue_result(-EBADF);
    switch (command) {
    case F_GETFD: /* nothing executes another program: close-on-exec is always in force */
        return FD_CLOEXEC;
    case F_SETFD:
        return 0;
    case F_GETFL:
        return flags;
    case F_SETFL:
        va_start(args, command);
        wanted = va_arg(args, int);
        va_end(args);
        return glue_result((wanted & ~O_ACCMODE) == 0 ? 0 : -EINVAL);
    default:
        return glue_result(-EINVAL);
    }
}

/* Paths: an empty, read-only file system. */

int open(const char *path, int flags, ...)
{
    (void)path;
    return glue_result((flags & O_CREAT) != 0 ? -EROFS : -ENOENT);
}

int stat(const char *restrict path, struct stat *restrict out)
{
    (void)path, (void)out;
    return glue_result(-ENOENT);
}

int link(const char *from, const char *to)
{
    (void)from, (void)to;
    return glue_result(-ENOENT);
}

int unlink(const char *path)
{
    (void)path;
    return glue_result(-ENOENT);
}

int rename(const char *from, const char *to)
{
    (void)from, (void)to;
    return glue_result(-ENOENT);
}

int mkdir(const char *path, mode_t mode)
{
    (void)path, (void)mode;
    return glue_result(-EROFS);
}
