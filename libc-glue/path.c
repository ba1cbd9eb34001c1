/*
 * Paths: an empty, read-only file system.
 *
 * Ordinary calls from threads.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libc-glue/glue.h"

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
