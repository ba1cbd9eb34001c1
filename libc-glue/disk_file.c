/*
 * Disks as open files.
 *
 * Callers: devfs.c, and the table of descriptors through the operations. Transfers sleep until the
 * disk has answered. Lock: part_lock, for blocks that are written in part: read and written back
 * by one thread at a time.
 */
#include "libc-glue/disk_file.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/fs.h"

#define MAJOR 254 /* what Linux 6 usually gives virtio disks */

struct disk_file {
    struct file file;
    struct blkdev *disk;
};

static struct mutex part_lock = MUTEX_INIT;

static struct blkdev *disk_of(const struct file *file)
{
    return ((const struct disk_file *)file)->disk;
}

/* Its whole blocks; a host may change that at any time. */
static uint64_t bytes_of(const struct blkdev *disk)
{
    return disk->nr_sectors * BLKDEV_SECTOR_BYTES & -(uint64_t)disk->block_bytes;
}

void disk_file_stat(struct blkdev *disk, struct stat *out)
{
    dev_t number = 0;

    for (struct blkdev *other = blkdev_first(); other != disk; other = blkdev_next(other))
        number++;
    out->st_dev = 2;
    out->st_ino = number + 1;
    out->st_mode = S_IFBLK | S_IRUSR | (disk->is_read_only ? 0 : S_IWUSR);
    out->st_nlink = 1;
    out->st_rdev = MAJOR << 8 | number << 4; /* Linux leaves room for 15 partitions */
    out->st_size = (off_t)bytes_of(disk);
    out->st_blksize = (blksize_t)disk->physical_block_bytes;
}

static int stat_disk(struct file *file, struct stat *out)
{
    disk_file_stat(disk_of(file), out);
    return 0;
}

/* --- Transfers -------------------------------------------------------------------------------- */

/* `bytes` at `skip` within the block at `start`. */
static int transfer_part(struct blkdev *disk, bool is_write, uint64_t start, size_t skip,
                         char *buffer, size_t bytes)
{
    char *block = malloc(disk->block_bytes);

    if (block == NULL)
        return -ENOMEM;
    if (is_write)
        mutex_lock(&part_lock);
    int error = blkdev_read(disk, start / BLKDEV_SECTOR_BYTES, block, disk->block_bytes);
    if (error == 0 && is_write) {
        memcpy(block + skip, buffer, bytes);
        error = blkdev_write(disk, start / BLKDEV_SECTOR_BYTES, block, disk->block_bytes);
    } else if (error == 0) {
        memcpy(buffer, block + skip, bytes);
    }
    if (is_write)
        mutex_unlock(&part_lock);
    free(block);
    return error;
}

/* As much as one step can: a part of a block, or whole blocks. *bytes: how much there is to do,
 * then how much was. */
static int transfer_some(struct blkdev *disk, bool is_write, uint64_t position, char *buffer,
                         size_t *bytes)
{
    size_t skip = position & (disk->block_bytes - 1);

    if (skip != 0 || *bytes < disk->block_bytes) {
        if (*bytes > disk->block_bytes - skip)
            *bytes = disk->block_bytes - skip;
        return transfer_part(disk, is_write, position - skip, skip, buffer, *bytes);
    }
    *bytes &= -(size_t)disk->block_bytes;
    if (*bytes > disk->max_request_bytes) /* so that what was done before an error is known */
        *bytes = disk->max_request_bytes;
    return is_write ? blkdev_write(disk, position / BLKDEV_SECTOR_BYTES, buffer, *bytes)
                    : blkdev_read(disk, position / BLKDEV_SECTOR_BYTES, buffer, *bytes);
}

static ssize_t transfer(struct file *file, bool is_write, const struct iovec *vectors, int count,
                        off_t *position)
{
    struct blkdev *disk = disk_of(file);
    ssize_t done = 0;
    int error = 0;

    for (int i = 0; i < count && error == 0; i++) {
        char *buffer = vectors[i].iov_base;
        size_t left = vectors[i].iov_len;

        while (left > 0 && error == 0) {
            uint64_t at = (uint64_t)*position, end = bytes_of(disk);
            size_t bytes = left;

            if (at >= end) {
                error = is_write ? -ENOSPC : 1; /* Linux's */
                break;
            }
            if (bytes > end - at)
                bytes = end - at;
            error = transfer_some(disk, is_write, at, buffer, &bytes);
            if (error != 0)
                break;
            *position += (off_t)bytes;
            buffer += bytes;
            left -= bytes;
            done += (ssize_t)bytes;
        }
    }
    return done > 0 || error > 0 ? done : error;
}

static ssize_t read_disk(struct file *file, const struct iovec *to, int count, off_t *position)
{
    return transfer(file, false, to, count, position);
}

static int sync_disk(struct file *file)
{
    return blkdev_flush(disk_of(file));
}

static ssize_t write_disk(struct file *file, const struct iovec *from, int count, off_t *position)
{
    ssize_t done = transfer(file, true, from, count, position);
    int error = done > 0 && (atomic_load(&file->flags) & O_SYNC) != 0 ? sync_disk(file) : 0;

    return error != 0 ? error : done;
}

/* --- Control ---------------------------------------------------------------------------------- */

/* range: start and length in bytes. */
static int clear(const struct file *file, bool is_discard, const uint64_t *range)
{
    struct blkdev *disk = disk_of(file);

    if (!file_is_writable(file))
        return -EBADF;
    if (range[0] % BLKDEV_SECTOR_BYTES != 0 || range[1] % BLKDEV_SECTOR_BYTES != 0)
        return -EINVAL;
    int error = (is_discard ? blkdev_discard : blkdev_write_zeroes)(
        disk, range[0] / BLKDEV_SECTOR_BYTES, range[1] / BLKDEV_SECTOR_BYTES);
    if (error == -ENXIO)
        return -EINVAL; /* beyond the end: as on Linux */
    return error == -ENOTSUP ? -EOPNOTSUPP : error;
}

static int control_disk(struct file *file, unsigned long request, void *argument)
{
    const struct blkdev *disk = disk_of(file);

    switch (request) {
    case BLKGETSIZE64:
        *(uint64_t *)argument = bytes_of(disk);
        return 0;
    case BLKGETSIZE:
        *(unsigned long *)argument = bytes_of(disk) / BLKDEV_SECTOR_BYTES;
        return 0;
    case BLKSSZGET:
        *(int *)argument = (int)disk->block_bytes;
        return 0;
    case BLKPBSZGET:
        *(unsigned *)argument = disk->physical_block_bytes;
        return 0;
    case BLKROGET:
        *(int *)argument = disk->is_read_only;
        return 0;
    case BLKFLSBUF:
        return sync_disk(file);
    case BLKDISCARD:
    case BLKZEROOUT:
        return clear(file, request == BLKDISCARD, argument);
    default:
        return -ENOTTY;
    }
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops operations = {
    .seekable = true,
    .read = read_disk,
    .write = write_disk,
    .sync = sync_disk,
    .stat = stat_disk,
    .ioctl = control_disk,
    .release = release,
};

int disk_file_open(struct fs_node node, struct blkdev *disk, int flags, struct file **out)
{
    struct disk_file *file;

    if (disk->is_read_only && (flags & O_ACCMODE) != O_RDONLY)
        return -EACCES;
    file = malloc(sizeof(*file));
    if (file == NULL)
        return -ENOMEM;
    fs_file_init(&file->file, &operations, flags, node);
    file->disk = disk;
    *out = &file->file;
    return 0;
}
