/*
 * Input and output through descriptors of every kind: finds the file, checks what all kinds have in
 * common, and leaves the rest to the file's operations.
 *
 * Ordinary calls from threads; they sleep as the file does.
 */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

/* The most that one call moves (Linux's read(2), NOTES). */
#define TRANSFER_MAX_BYTES 0x7ffff000ul

/* The sum of the vectors' lengths, or -EINVAL. */
static ssize_t total_bytes(const struct iovec *vectors, int count)
{
    ssize_t total = 0;

    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++)
        if (__builtin_add_overflow(total, vectors[i].iov_len, &total))
            return -EINVAL;
    return total;
}

/* `at`: the position, which then stays as it is; NULL: the file's own, which advances. */
static ssize_t move(struct file *file, bool is_write, const struct iovec *vectors, int count,
                    const off_t *at)
{
    ssize_t (*operation)(struct file *, const struct iovec *, int, off_t *) =
        is_write ? file->ops->write : file->ops->read;
    ssize_t result = total_bytes(vectors, count);
    off_t position;

    if (!(is_write ? file_is_writable(file) : file_is_readable(file)))
        return -EBADF;
    if (at != NULL && !file->ops->seekable)
        return -ESPIPE;
    if (operation == NULL || (at != NULL && *at < 0))
        return -EINVAL;
    if (result < 0 || (result == 0 && (!is_write || count == 0)))
        return result;
    if (!file->ops->seekable)
        return operation(file, vectors, count, NULL);
    if (at != NULL) {
        position = *at;
        return operation(file, vectors, count, &position);
    }
    mutex_lock(&file->position_lock);
    result = operation(file, vectors, count, &file->position);
    mutex_unlock(&file->position_lock);
    return result;
}

static ssize_t transfer(int fd, bool is_write, const struct iovec *vectors, int count,
                        const off_t *at)
{
    struct file *file;
    ssize_t result;

    do {
        result = fd_get(fd, &file);
        if (result == 0) {
            result = move(file, is_write, vectors, count, at);
            file_put(file);
        }
    } while (glue_restarts(result));
    return glue_result(result);
}

static struct iovec one_vector(const void *buffer, size_t bytes)
{
    return (struct iovec){
        .iov_base = (void *)(uintptr_t)buffer,
        .iov_len = bytes < TRANSFER_MAX_BYTES ? bytes : TRANSFER_MAX_BYTES,
    };
}

ssize_t read(int fd, void *buffer, size_t bytes)
{
    struct iovec vector = one_vector(buffer, bytes);

    return transfer(fd, false, &vector, 1, NULL);
}

ssize_t write(int fd, const void *buffer, size_t bytes)
{
    struct iovec vector = one_vector(buffer, bytes);

    return transfer(fd, true, &vector, 1, NULL);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
    struct iovec vector = one_vector(buffer, bytes);

    return transfer(fd, false, &vector, 1, &offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t bytes, off_t offset)
{
    struct iovec vector = one_vector(buffer, bytes);

    return transfer(fd, true, &vector, 1, &offset);
}

ssize_t readv(int fd, const struct iovec *vectors, int count)
{
    return transfer(fd, false, vectors, count, NULL);
}

ssize_t writev(int fd, const struct iovec *vectors, int count)
{
    return transfer(fd, true, vectors, count, NULL);
}

ssize_t preadv(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return transfer(fd, false, vectors, count, &offset);
}

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return transfer(fd, true, vectors, count, &offset);
}

static int stat_file(struct file *file, struct stat *out)
{
    *out = (struct stat){.st_nlink = 1};
    return file->ops->stat != NULL ? file->ops->stat(file, out) : -EBADF;
}

int fstat(int fd, struct stat *out)
{
    struct file *file;
    int result = fd_get(fd, &file);

    if (result == 0) {
        result = stat_file(file, out);
        file_put(file);
    }
    return (int)glue_result(result);
}

/* position_lock held. */
static off_t seek(struct file *file, off_t offset, int whence)
{
    struct stat info;
    off_t base = 0;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = file->position;
        break;
    case SEEK_END: {
        int error = stat_file(file, &info);
        if (error != 0)
            return error;
        base = info.st_size;
        break;
    }
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &offset))
        return -EOVERFLOW;
    if (offset < 0)
        return -EINVAL;
    file->position = offset;
    return offset;
}

off_t lseek(int fd, off_t offset, int whence)
{
    struct file *file;
    off_t result = fd_get(fd, &file);

    if (result != 0)
        return glue_result(result);
    if (!file->ops->seekable) {
        result = -ESPIPE;
    } else {
        mutex_lock(&file->position_lock);
        result = seek(file, offset, whence);
        mutex_unlock(&file->position_lock);
    }
    file_put(file);
    return glue_result(result);
}

int fsync(int fd)
{
    struct file *file;
    int result = fd_get(fd, &file);

    if (result == 0) {
        result = file->ops->sync != NULL ? file->ops->sync(file) : -EINVAL;
        file_put(file);
    }
    return (int)glue_result(result);
}

int fdatasync(int fd)
{
    return fsync(fd);
}

static int control(int fd, struct file *file, unsigned long request, void *argument)
{
    switch (request) {
    case FIONBIO:
        if (*(int *)argument != 0)
            atomic_fetch_or(&file->flags, O_NONBLOCK);
        else
            atomic_fetch_and(&file->flags, ~O_NONBLOCK);
        return 0;
    case FIOCLEX:
        return fcntl(fd, F_SETFD, FD_CLOEXEC);
    case FIONCLEX:
        return fcntl(fd, F_SETFD, 0);
    default:
        return file->ops->ioctl != NULL ? file->ops->ioctl(file, request, argument) : -ENOTTY;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    struct file *file;
    va_list args;
    int result = fd_get(fd, &file);

    va_start(args, request);
    if (result == 0) {
        result = control(fd, file, request, va_arg(args, void *));
        file_put(file);
    }
    va_end(args);
    return (int)glue_result(result);
}
