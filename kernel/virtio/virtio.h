/*
 * Virtio 1.x devices (virtio 1.2): what a driver needs to know. Below are the transports
 * (kernel/virtio/transport.h), beside it the queues (kernel/virtio/vq.h).
 *
 * A driver is a file with one struct virtio_driver, named in the list of kernel/virtio/virtio.c.
 * Its probe runs in a thread, before the application, once per device:
 *
 *     static int probe(struct virtio_device *dev)     the device is reset, features are negotiated
 *     {
 *         virtio_queue_create(dev, 0, &options, used)   in order
 *         virtio_ready(dev)                             from here on the device works
 *         virtio_add, virtio_kick, ...                  may be queued before, kicked only after
 *         return 0;                                     or -errno: the core resets the device
 *     }
 *
 * Everything a device says is input. The core checks what it can (the queues; features); a driver
 * checks configuration and contents, and calls virtio_break when they cannot be.
 *
 * Locks: one of the driver's per queue, for virtio_add to virtio_listen. Callbacks run in event
 * context: `used` perhaps for nothing, so it reaps (or lets a thread do so) until -EAGAIN.
 */
#ifndef KERNEL_VIRTIO_VIRTIO_H
#define KERNEL_VIRTIO_VIRTIO_H

#include "kernel/virtio/vq.h"

#define VIRTIO_MAX_QUEUES 8
#define VIRTIO_NAME_BYTES 40

/* Device types (section 5). */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_9P = 9,
};

struct virtio_device;
struct virtio_transport;

struct virtio_queue {
    struct vq vq;
    struct virtio_device *dev;
    uint16_t index;
    void (*used)(struct virtio_queue *queue); /* event context; NULL: nobody cares */
    volatile void *notify_at;                 /* the transport's */
    event_port_t port;                        /* its own interrupt, or 0: the device's */
};

struct virtio_driver {
    const char *name;   /* in messages */
    uint32_t device_id; /* VIRTIO_ID_* */
    uint64_t features;  /* bits that the driver can use, of the device type's own */
    size_t state_bytes; /* what dev->state has room for, zeroed */
    /* Optional: which of these features to take, after a look at the configuration. */
    uint64_t (*choose)(struct virtio_device *dev, uint64_t features);
    /* -errno: the device stays unused, and the log says so. */
    int (*probe)(struct virtio_device *dev);
    /* Optional, event context. */
    void (*config_changed)(struct virtio_device *dev);
    /* Optional: dev->is_broken was set, by whatever context. The queues are as they were; see
     * virtio_take_back. */
    void (*broken)(struct virtio_device *dev);
};

struct virtio_device {
    char name[VIRTIO_NAME_BYTES]; /* "virtio-net at mmio 0xfeb00e00" */
    const struct virtio_driver *driver;
    void *state;             /* the driver's */
    uint64_t features;       /* negotiated */
    volatile bool is_broken; /* it lied or vanished: every call below fails or does nothing */
    bool is_stopped;         /* broken, and known to touch our memory no more */
    bool is_bound;           /* its interrupts are ours */
    unsigned nr_queues;
    struct virtio_queue queues[VIRTIO_MAX_QUEUES];
    const struct virtio_transport *transport;
    void *bus; /* the transport's */
};

/* Finds and probes every device, in the order of the machine. Thread context, at boot. */
void virtio_init(void);

static inline bool virtio_has(const struct virtio_device *dev, unsigned feature_bit)
{
    return dev->features >> feature_bit & 1;
}

/* --- Probe ----------------------------------------------------------------------------------- */

/*
 * Creates queue `index`, which must be the number of queues so far. entries: as many at most (a
 * power of 2, up to VQ_MAX_ENTRIES); the device may allow fewer. tables: indirect tables, used if
 * the device knows them. -ENODEV: the device has no such queue; -EIO, -ENOMEM.
 */
struct virtio_queue_options {
    unsigned entries;
    unsigned tables;
};
int virtio_queue_create(struct virtio_device *dev, unsigned index,
                        const struct virtio_queue_options *options,
                        void (*used)(struct virtio_queue *queue));

/* All queues are there: binds interrupts and sets DRIVER_OK (section 3.1.1, step 8). */
int virtio_ready(struct virtio_device *dev);

/*
 * Reads a field of the device's configuration: 1, 2, 4 or 8 bytes, or an array of bytes (of any
 * other size). Consistent in itself (section 2.5.1). Reads as zero when the device is broken.
 */
void virtio_config_read(struct virtio_device *dev, unsigned offset, void *field, unsigned bytes);
/* Writes a field of 1, 2 or 4 bytes. */
void virtio_config_write(struct virtio_device *dev, unsigned offset, const void *field,
                         unsigned bytes);

/* --- Queues: as in vq.h, and the device is told, or found out -------------------------------- */

static inline int virtio_add(struct virtio_queue *q, const struct vq_piece *pieces, unsigned nr_out,
                             unsigned nr_in, void *cookie)
{
    return vq_add(&q->vq, pieces, nr_out, nr_in, cookie);
}

static inline int virtio_add_ranges(struct virtio_queue *q, const struct vq_range *ranges,
                                    unsigned nr_in, void *cookie)
{
    return vq_add_ranges(&q->vq, ranges, nr_in, cookie);
}

/* Publishes what was added, and notifies the device if it wants that. Returns whether it did. */
bool virtio_kick(struct virtio_queue *q);

/* As vq_reap: 0, -EAGAIN, or -EIO after the device was marked broken. */
int virtio_reap(struct virtio_queue *q, void **cookie, uint32_t *written);

static inline bool virtio_listen(struct virtio_queue *q)
{
    return vq_listen(&q->vq);
}

static inline void virtio_silence(struct virtio_queue *q)
{
    vq_silence(&q->vq);
}

/*
 * Of a broken device: buffers that it never gave back, one at a time. False: none left, or the
 * device could not be stopped, so that their memory must be left to it for ever.
 */
bool virtio_take_back(struct virtio_queue *q, void **cookie);

/* --- Trouble --------------------------------------------------------------------------------- */

/* The device did what it may not: reports that once as an error with its name, resets it, and calls
 * the driver's `broken`. Any context. */
void virtio_break(struct virtio_device *dev, const char *format, ...)
    __attribute__((cold, format(printf, 2, 3)));

/* Asks the device whether it is there and well; if not, it is broken. Notifies it of all its queues
 * once more. For whoever has waited for long: what has vanished does not interrupt, and QEMU before
 * 8.1 has no memory barriers under TCG with one processor, so that a notification can get lost (an
 * interrupt, too: reap as well). Any context. */
void virtio_check(struct virtio_device *dev);

#endif
