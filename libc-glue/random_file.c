/*
 * See random_file.h. Callers: the table of descriptors and paths, from threads. A file has no
 * state.
 */
#include "libc-glue/random_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/random.h"

#define BLOCK_BYTES 1024

bool random_file_is(const char *path)
{
    return strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0;
}

static ssize_t read_random(struct file *file, const struct iovec *to, int count, off_t *position)
{
    ssize_t bytes = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++) {
        int error = to[i].iov_len != 0 ? random_bytes(to[i].iov_base, to[i].iov_len) : 0;

        if (error != 0)
            return bytes != 0 ? bytes : error;
        bytes += (ssize_t)to[i].iov_len;
    }
    return bytes;
}

/* Nobody outside is trusted to add randomness. */
static ssize_t write_random(struct file *file, const struct iovec *from, int count, off_t *position)
{
    ssize_t bytes = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++)
        bytes += (ssize_t)from[i].iov_len;
    return bytes;
}

void random_file_stat(struct stat *out)
{
    out->st_mode = S_IFCHR | S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    out->st_nlink = 1;
    out->st_blksize = BLOCK_BYTES;
}

static int stat_random(struct file *file, struct stat *out)
{
    (void)file;
    random_file_stat(out);
    return 0;
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops operations = {
    .read = read_random,
    .write = write_random,
    .stat = stat_random,
    .release = release,
};

int random_file_open(int flags, struct file **out)
{
    struct file *file;

    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if ((flags & O_DIRECTORY) != 0)
        return -ENOTDIR;
    file = malloc(sizeof(*file));
    if (file == NULL)
        return -ENOMEM;
    file_init(file, &operations, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC));
    *out = file;
    return 0;
}
