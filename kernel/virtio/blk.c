/*
 * The block device (virtio 1.2, section 5.2): one queue. A request is a header, the data and a byte
 * of status, and its caller sleeps until it is done.
 *
 * Callers: kernel/blkdev.c, in threads. Ring 3. Lock: `lock`, for the queue and the list of free
 * requests; `room` counts those, so that a request that was got always fits into the queue.
 */
#include <errno.h>
#include <string.h>

#include "kernel/blkdev.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"
#include "kernel/sync.h"
#include "kernel/virtio/virtio.h"

/* Feature bits (5.2.3). */
enum {
    F_SIZE_MAX = 1,
    F_SEG_MAX = 2,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
};
#define FEATURE(bit) (1ull << (bit))

/* struct virtio_blk_config (5.2.4): offsets. */
enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SIZE_MAX = 8,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLK_SIZE = 20,
    CONFIG_PHYSICAL_BLOCK_EXP = 24,
    CONFIG_MAX_DISCARD_SECTORS = 36,
    CONFIG_MAX_WRITE_ZEROES_SECTORS = 48,
};

/* 5.2.6. */
enum {
    TYPE_IN = 0,
    TYPE_OUT = 1,
    TYPE_FLUSH = 4,
    TYPE_GET_ID = 8,
    TYPE_DISCARD = 11,
    TYPE_WRITE_ZEROES = 13,
};
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPP = 2, STATUS_NONE = 0xff /* ours */ };
#define ID_BYTES 20

#define ENTRIES 256
#define MAX_REQUESTS 16
#define HEADER_AND_STATUS 2 /* descriptors beside the data's */
#define MAX_BLOCK_BYTES (1u << 16)
#define PATIENCE_NS 1000000000ull /* then we look whether the device is still there */

struct request {
    struct {
        uint32_t type;
        uint32_t reserved;
        uint64_t sector;
    } header;
    struct { /* struct virtio_blk_discard_write_zeroes */
        uint64_t sector;
        uint32_t nr_sectors;
        uint32_t flags;
    } range;
    uint8_t status;
    bool is_done;
    struct semaphore done;
    struct request *next_free;
};

struct blk {
    struct blkdev blkdev;
    struct virtio_device *dev;
    struct spinlock lock;
    struct semaphore room;
    struct request *free;
    struct request requests[MAX_REQUESTS];
};

/* --- Requests --------------------------------------------------------------------------------- */

/* NULL: the device broke, and never gave them back. */
static struct request *get_request(struct blk *blk)
{
    semaphore_wait(&blk->room);
    bool unmask = spin_lock(&blk->lock);
    struct request *r = blk->free;

    if (r)
        blk->free = r->next_free;
    spin_unlock(&blk->lock, unmask);
    return r;
}

static void put_request(struct blk *blk, struct request *r)
{
    bool unmask = spin_lock(&blk->lock);

    r->next_free = blk->free;
    blk->free = r;
    spin_unlock(&blk->lock, unmask);
    semaphore_post(&blk->room);
}

static void used(struct virtio_queue *q)
{
    struct blk *blk = q->dev->state;
    bool unmask = spin_lock(&blk->lock);
    void *cookie;
    uint32_t written;

    do {
        while (virtio_reap(q, &cookie, &written) == 0) {
            struct request *r = cookie;

            r->is_done = true;
            semaphore_post(&r->done);
        }
    } while (!q->dev->is_broken && !virtio_listen(q));
    spin_unlock(&blk->lock, unmask);
}

/* Any context, also within virtio_reap: takes no lock. Whoever waits finds out. */
static void broken(struct virtio_device *dev)
{
    struct blk *blk = dev->state;

    blk->blkdev.is_broken = true;
    for (unsigned i = 0; i < MAX_REQUESTS; i++)
        semaphore_post(&blk->requests[i].done);
}

static int result_of(struct blk *blk, const struct request *r)
{
    uint8_t status = *(const volatile uint8_t *)&r->status; /* once: the device could change it */

    if (!r->is_done)
        return -EIO;
    switch (status) {
    case STATUS_OK:
        return 0;
    case STATUS_IOERR:
        return -EIO;
    case STATUS_UNSUPP:
        return -ENOTSUP;
    default:
        virtio_break(blk->dev, "request status %u", status);
        return -EIO;
    }
}

/* Has the device do r, with up to one piece of data. Sleeps. */
static int run(struct blk *blk, struct request *r, const struct vq_piece *data, bool is_input)
{
    struct virtio_queue *q = &blk->dev->queues[0];
    struct vq_piece pieces[HEADER_AND_STATUS + 1];
    unsigned n = 0, nr_out = 1;

    pieces[n++] = (struct vq_piece){&r->header, sizeof(r->header)};
    if (data) {
        pieces[n++] = *data;
        nr_out += !is_input;
    }
    pieces[n++] = (struct vq_piece){&r->status, sizeof(r->status)};
    r->status = STATUS_NONE;
    r->is_done = false;
    semaphore_init(&r->done, 0);

    bool unmask = spin_lock(&blk->lock);
    int error = virtio_add(q, pieces, nr_out, n - nr_out, r);

    if (!error)
        virtio_kick(q);
    spin_unlock(&blk->lock, unmask);
    if (error)
        return -EIO; /* broken: nothing else keeps a request out of the queue */
    while (!r->is_done && !blk->dev->is_broken) /* set before broken() is called */
        if (semaphore_timedwait(&r->done, clock_monotonic_ns() + PATIENCE_NS) == -ETIMEDOUT) {
            virtio_check(blk->dev);
            used(q);
        }
    return result_of(blk, r);
}

static int request(struct blkdev *dev, enum blkdev_operation operation, uint64_t sector,
                   void *buffer, size_t bytes)
{
    static const uint32_t types[] = {
        [BLKDEV_READ] = TYPE_IN,
        [BLKDEV_WRITE] = TYPE_OUT,
        [BLKDEV_FLUSH] = TYPE_FLUSH,
        [BLKDEV_DISCARD] = TYPE_DISCARD,
        [BLKDEV_WRITE_ZEROES] = TYPE_WRITE_ZEROES,
    };
    struct blk *blk = (struct blk *)dev; /* its first member */
    struct request *r = get_request(blk);
    struct vq_piece data = {buffer, bytes};

    if (!r) {
        semaphore_post(&blk->room); /* the next one finds out, too */
        return -EIO;
    }
    r->header.type = types[operation];
    r->header.reserved = 0;
    r->header.sector = buffer ? sector : 0; /* else reserved (5.2.6.1) */
    if (operation == BLKDEV_DISCARD || operation == BLKDEV_WRITE_ZEROES) {
        r->range.sector = sector;
        r->range.nr_sectors = (uint32_t)(bytes / BLKDEV_SECTOR_BYTES);
        r->range.flags = 0;
        data = (struct vq_piece){&r->range, sizeof(r->range)};
    }
    int error = run(blk, r, data.data ? &data : NULL, operation == BLKDEV_READ);

    /* What a broken device did not give back is not used again: it could still write there. */
    if (r->is_done)
        put_request(blk, r);
    else
        semaphore_post(&blk->room);
    return error;
}

/* --- Probe ------------------------------------------------------------------------------------ */

static uint32_t config32(struct virtio_device *dev, unsigned offset)
{
    uint32_t value;

    virtio_config_read(dev, offset, &value, sizeof(value));
    return value;
}

/* Where the device says how much it takes at most: the lesser. Read once, as it could say something
 * else each time. */
static uint32_t limit_of(struct virtio_device *dev, unsigned feature, unsigned offset,
                         uint32_t ours)
{
    uint32_t theirs = virtio_has(dev, feature) ? config32(dev, offset) : ours;

    return theirs < ours ? theirs : ours;
}

static bool is_power_of_2(uint32_t value)
{
    return value && !(value & (value - 1));
}

static int read_block_size(struct blk *blk)
{
    struct virtio_device *dev = blk->dev;
    uint8_t exponent = 0;

    blk->blkdev.block_bytes = BLKDEV_SECTOR_BYTES;
    if (virtio_has(dev, F_BLK_SIZE))
        blk->blkdev.block_bytes = config32(dev, CONFIG_BLK_SIZE);
    if (!is_power_of_2(blk->blkdev.block_bytes) || blk->blkdev.block_bytes < BLKDEV_SECTOR_BYTES ||
        blk->blkdev.block_bytes > MAX_BLOCK_BYTES) {
        log_error("%s: blocks of %u bytes", dev->name, blk->blkdev.block_bytes);
        return -EINVAL;
    }
    if (virtio_has(dev, F_TOPOLOGY))
        virtio_config_read(dev, CONFIG_PHYSICAL_BLOCK_EXP, &exponent, sizeof(exponent));
    /* Only a hint: what makes no sense is not believed. */
    if (exponent > 16)
        exponent = 0;
    blk->blkdev.physical_block_bytes = blk->blkdev.block_bytes << exponent;
    return 0;
}

/* How large requests may be, and how many of them fit into the queue at a time. */
static int read_limits(struct blk *blk, unsigned *nr_requests)
{
    struct virtio_device *dev = blk->dev;
    unsigned entries = dev->queues[0].vq.entries;
    bool is_indirect = dev->queues[0].vq.nr_tables > 0;
    unsigned segments = (is_indirect ? VQ_TABLE_ENTRIES : entries) - HEADER_AND_STATUS;
    uint32_t bytes = 0;

    if (entries >= HEADER_AND_STATUS + 2) {
        segments = limit_of(dev, F_SEG_MAX, CONFIG_SEG_MAX, segments);
        /* Data that begins within a page takes one segment more than it is pages long. */
        bytes = segments > 1 ? (segments - 1) * (uint32_t)PAGE_SIZE : 0;
        /* Pages that are neighbours become one segment. */
        bytes = limit_of(dev, F_SIZE_MAX, CONFIG_SIZE_MAX, bytes) & -blk->blkdev.block_bytes;
    }
    if (!bytes) {
        log_error("%s: too small requests: %u segments, a queue of %u", dev->name, segments,
                  entries);
        return -EINVAL;
    }
    blk->blkdev.max_request_bytes = bytes;
    *nr_requests = is_indirect ? entries : entries / (segments + HEADER_AND_STATUS);
    if (*nr_requests > MAX_REQUESTS)
        *nr_requests = MAX_REQUESTS;
    return 0;
}

static void read_ranges(struct blk *blk)
{
    struct virtio_device *dev = blk->dev;
    uint32_t block_sectors = blk->blkdev.block_bytes / BLKDEV_SECTOR_BYTES;

    if (virtio_has(dev, F_DISCARD))
        blk->blkdev.max_discard_sectors =
            config32(dev, CONFIG_MAX_DISCARD_SECTORS) & -block_sectors;
    if (virtio_has(dev, F_WRITE_ZEROES))
        blk->blkdev.max_zeroes_sectors =
            config32(dev, CONFIG_MAX_WRITE_ZEROES_SECTORS) & -block_sectors;
}

/* Event context, too: the host made the disk larger or smaller. */
static void read_capacity(struct virtio_device *dev)
{
    struct blk *blk = dev->state;
    uint64_t nr_sectors;

    virtio_config_read(dev, CONFIG_CAPACITY, &nr_sectors, sizeof(nr_sectors));
    if (nr_sectors > INT64_MAX / BLKDEV_SECTOR_BYTES) {
        virtio_break(dev, "capacity 0x%lx", nr_sectors);
        return;
    }
    if (blk->blkdev.name[0] && nr_sectors != blk->blkdev.nr_sectors)
        log_info("%s: now %lu sectors", blk->blkdev.name, nr_sectors);
    blk->blkdev.nr_sectors = nr_sectors;
}

/* 5.2.6.1: up to 20 characters, with a 0 behind them if there are fewer. */
static void read_serial(struct blk *blk)
{
    struct request *r = get_request(blk);
    struct vq_piece data = {blk->blkdev.serial, ID_BYTES};

    r->header.type = TYPE_GET_ID;
    r->header.sector = 0;
    if (run(blk, r, &data, true))
        blk->blkdev.serial[0] = 0; /* not every device knows the request */
    put_request(blk, r);
}

static int probe(struct virtio_device *dev)
{
    struct blk *blk = dev->state;
    unsigned nr_requests = 0;

    blk->dev = dev;
    blk->blkdev.request = request;
    blk->blkdev.can_flush = virtio_has(dev, F_FLUSH);
    blk->blkdev.is_read_only = virtio_has(dev, F_RO);
    int error = virtio_queue_create(
        dev, 0, &(struct virtio_queue_options){.entries = ENTRIES, .tables = MAX_REQUESTS}, used);
    if (!error)
        error = read_block_size(blk);
    if (!error)
        error = read_limits(blk, &nr_requests);
    if (error)
        return error;
    read_ranges(blk);
    read_capacity(dev);
    for (unsigned i = 0; i < nr_requests; i++)
        put_request(blk, &blk->requests[i]);
    error = virtio_ready(dev);
    if (error)
        return error;
    virtio_listen(&dev->queues[0]);
    read_serial(blk);
    if (dev->is_broken)
        return -EIO;
    blkdev_register(&blk->blkdev);
    log_info("%s: %s, %lu sectors, blocks of %u bytes%s%s%s", blk->blkdev.name, dev->name,
             blk->blkdev.nr_sectors, blk->blkdev.block_bytes,
             blk->blkdev.can_flush ? ", flush" : "",
             blk->blkdev.max_discard_sectors ? ", discard" : "",
             blk->blkdev.is_read_only ? ", read-only" : "");
    return 0;
}

const struct virtio_driver virtio_blk_driver = {
    .name = "blk",
    .device_id = VIRTIO_ID_BLK,
    .features = FEATURE(F_SIZE_MAX) | FEATURE(F_SEG_MAX) | FEATURE(F_RO) | FEATURE(F_BLK_SIZE) |
                FEATURE(F_FLUSH) | FEATURE(F_TOPOLOGY) | FEATURE(F_DISCARD) |
                FEATURE(F_WRITE_ZEROES),
    .state_bytes = sizeof(struct blk),
    .probe = probe,
    .config_changed = read_capacity,
    .broken = broken,
};
