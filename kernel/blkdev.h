/*
 * The block device class: what a driver (kernel/virtio/blk.c) offers, and what its users call. One
 * struct blkdev per disk, named vda, vdb, ... in the order of discovery.
 *
 * Callers: threads; every call sleeps until the device has answered. Any number of threads may call
 * at a time; requests of different threads are served in any order. Sectors are of 512 bytes.
 */
#ifndef KERNEL_BLKDEV_H
#define KERNEL_BLKDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define BLKDEV_SECTOR_BYTES 512u
#define BLKDEV_NAME_BYTES 8
#define BLKDEV_SERIAL_BYTES 21 /* with a 0 at its end */

enum blkdev_operation {
    BLKDEV_READ,
    BLKDEV_WRITE,
    BLKDEV_FLUSH,
    BLKDEV_DISCARD,      /* the contents are of no interest any more */
    BLKDEV_WRITE_ZEROES, /* reads as zeroes from now on */
};

struct blkdev {
    char name[BLKDEV_NAME_BYTES];
    char serial[BLKDEV_SERIAL_BYTES]; /* "" if it has none */
    volatile uint64_t nr_sectors;     /* a host may change it; is_broken: meaningless */
    uint32_t block_bytes; /* what addresses and sizes must be multiples of: 512 or a larger power */
    uint32_t physical_block_bytes; /* what it works in; a multiple of block_bytes */
    uint32_t max_request_bytes;    /* of a read or write; longer ones are split */
    uint32_t max_discard_sectors;  /* 0: cannot discard */
    uint32_t max_zeroes_sectors;   /* 0: cannot write zeroes by itself */
    bool can_flush;                /* false: a write that has returned is on the disk */
    bool is_read_only;
    volatile bool is_broken; /* the device lied or vanished: every call is -EIO */
    /* The driver's: one request within these limits. 0, -EIO, -ENOTSUP (the device's answer). */
    int (*request)(struct blkdev *dev, enum blkdev_operation operation, uint64_t sector,
                   void *buffer, size_t bytes);
    TAILQ_ENTRY(blkdev) link;
};

/* Driver: makes a disk known, and names it. At boot, in one thread. */
void blkdev_register(struct blkdev *dev);

/* Every disk in the order of discovery. */
struct blkdev *blkdev_first(void);
struct blkdev *blkdev_next(struct blkdev *dev);

/*
 * buffer: any mapped memory. -EINVAL: not whole blocks; -ENXIO: beyond the end; -EROFS; -EIO. After
 * an error any part may have been transferred.
 */
int blkdev_read(struct blkdev *dev, uint64_t sector, void *buffer, size_t bytes);
int blkdev_write(struct blkdev *dev, uint64_t sector, const void *buffer, size_t bytes);

/* What was written before is on the disk, also after a loss of power. -EIO. */
int blkdev_flush(struct blkdev *dev);

/* -ENOTSUP: not on this disk; else as blkdev_write. */
int blkdev_discard(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors);
int blkdev_write_zeroes(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors);

#endif
