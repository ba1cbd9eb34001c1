/*
 * Limits of files and paths (POSIX.1-2017, pathconf): the same for all.
 *
 * Ordinary calls from threads.
 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libc-glue/glue.h"

#define MAX_LINKS 65000
#define FILE_SIZE_BITS 64

static long limit(int name)
{
    switch (name) {
    case _PC_NAME_MAX:
        return NAME_MAX;
    case _PC_PATH_MAX:
        return PATH_MAX;
    case _PC_LINK_MAX:
        return MAX_LINKS;
    case _PC_PIPE_BUF:
        return PIPE_BUF;
    case _PC_FILESIZEBITS:
        return FILE_SIZE_BITS;
    case _PC_NO_TRUNC:
    case _PC_CHOWN_RESTRICTED:
        return 1;
    case _PC_VDISABLE:
        return 0;
    default:
        return glue_result(-EINVAL);
    }
}

long pathconf(const char *path, int name)
{
    struct stat status;

    return stat(path, &status) == 0 ? limit(name) : -1;
}

long fpathconf(int fd, int name)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? limit(name) : -1;
}
