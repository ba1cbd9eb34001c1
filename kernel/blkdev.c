/*
 * Block devices: their list, which does not change after boot, and what is the same for all of
 * them: checks, and requests cut into what a device takes.
 */
#include "kernel/blkdev.h"

#include <errno.h>

#include "kernel/format.h"

#define LETTERS 26

static TAILQ_HEAD(blkdev_list, blkdev) devices = TAILQ_HEAD_INITIALIZER(devices);
static unsigned count;

void blkdev_register(struct blkdev *dev)
{
    if (count < LETTERS) /* as on Linux: vdz is followed by vdaa */
        ksnprintf(dev->name, sizeof(dev->name), "vd%c", 'a' + count);
    else
        ksnprintf(dev->name, sizeof(dev->name), "vd%c%c", 'a' + count / LETTERS - 1,
                  'a' + count % LETTERS);
    count++;
    TAILQ_INSERT_TAIL(&devices, dev, link);
}

struct blkdev *blkdev_first(void)
{
    return TAILQ_FIRST(&devices);
}

struct blkdev *blkdev_next(struct blkdev *dev)
{
    return TAILQ_NEXT(dev, link);
}

/* The range must be whole blocks of the disk. */
static int check(const struct blkdev *dev, uint64_t sector, uint64_t nr_sectors)
{
    uint32_t block_sectors = dev->block_bytes / BLKDEV_SECTOR_BYTES;

    if (dev->is_broken)
        return -EIO;
    if (sector % block_sectors || nr_sectors % block_sectors)
        return -EINVAL;
    if (sector > dev->nr_sectors || nr_sectors > dev->nr_sectors - sector)
        return -ENXIO;
    return 0;
}

static int transfer(struct blkdev *dev, enum blkdev_operation operation, uint64_t sector,
                    char *buffer, size_t bytes)
{
    if (bytes % BLKDEV_SECTOR_BYTES)
        return -EINVAL;
    int error = check(dev, sector, bytes / BLKDEV_SECTOR_BYTES);

    while (!error && bytes) {
        size_t part = bytes < dev->max_request_bytes ? bytes : dev->max_request_bytes;

        error = dev->request(dev, operation, sector, buffer, part);
        sector += part / BLKDEV_SECTOR_BYTES;
        buffer += part;
        bytes -= part;
    }
    return error;
}

int blkdev_read(struct blkdev *dev, uint64_t sector, void *buffer, size_t bytes)
{
    return transfer(dev, BLKDEV_READ, sector, buffer, bytes);
}

int blkdev_write(struct blkdev *dev, uint64_t sector, const void *buffer, size_t bytes)
{
    if (dev->is_read_only)
        return -EROFS;
    return transfer(dev, BLKDEV_WRITE, sector, (char *)buffer, bytes);
}

int blkdev_flush(struct blkdev *dev)
{
    if (dev->is_broken)
        return -EIO;
    return dev->can_flush ? dev->request(dev, BLKDEV_FLUSH, 0, NULL, 0) : 0;
}

/* Operations on ranges without data. */
static int range(struct blkdev *dev, enum blkdev_operation operation, uint32_t max_sectors,
                 uint64_t sector, uint64_t nr_sectors)
{
    if (dev->is_read_only)
        return -EROFS;
    int error = check(dev, sector, nr_sectors);

    if (!error && !max_sectors)
        return -ENOTSUP;
    while (!error && nr_sectors) {
        uint64_t part = nr_sectors < max_sectors ? nr_sectors : max_sectors;

        error = dev->request(dev, operation, sector, NULL, part * BLKDEV_SECTOR_BYTES);
        sector += part;
        nr_sectors -= part;
    }
    return error;
}

int blkdev_discard(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors)
{
    return range(dev, BLKDEV_DISCARD, dev->max_discard_sectors, sector, nr_sectors);
}

int blkdev_write_zeroes(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors)
{
    return range(dev, BLKDEV_WRITE_ZEROES, dev->max_zeroes_sectors, sector, nr_sectors);
}
