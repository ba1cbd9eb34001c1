/*
 * sendfile, and sync.
 *
 * Ordinary calls from threads; they sleep as the files do.
 * Source: Linux's sendfile(2).
 */
#include <sys/sendfile.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/blkdev.h"
#include "libc-glue/glue.h"

#define BUFFER_BYTES (64ul << 10)

/* What was read and could not be written is read again by the next call. */
static ssize_t copy(int to, int from, off_t *position, size_t bytes, char *buffer)
{
    size_t done = 0;

    while (done < bytes) {
        size_t part = bytes - done < BUFFER_BYTES ? bytes - done : BUFFER_BYTES;
        ssize_t got = pread(from, buffer, part, *position);

        if (got > 0)
            got = write(to, buffer, (size_t)got);
        if (got < 0)
            return done > 0 ? (ssize_t)done : got;
        if (got == 0)
            break;
        *position += got;
        done += (size_t)got;
        if ((size_t)got < part)
            break;
    }
    return (ssize_t)done;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t bytes)
{
    int flags = fcntl(to, F_GETFL);
    off_t position = offset != NULL ? *offset : lseek(from, 0, SEEK_CUR);

    if (flags < 0)
        return -1;
    if (position < 0 || (flags & O_APPEND) != 0)
        return glue_result(offset == NULL && errno == EBADF ? -EBADF : -EINVAL);
    char *buffer = malloc(bytes < BUFFER_BYTES ? bytes + 1 : BUFFER_BYTES);
    if (buffer == NULL)
        return -1;
    ssize_t result = copy(to, from, &position, bytes, buffer);
    if (result < 0 && errno == ESPIPE)
        errno = EINVAL;
    free(buffer);
    if (offset != NULL)
        *offset = position;
    else if (result > 0)
        lseek(from, position, SEEK_SET);
    return result;
}

/* Files keep nothing back; disks may. */
void sync(void)
{
    for (struct blkdev *disk = blkdev_first(); disk != NULL; disk = blkdev_next(disk))
        blkdev_flush(disk);
}
