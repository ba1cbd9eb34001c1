/*
 * The 9P transport (virtio device 9; not in virtio 1.2's text: Linux's net/9p/trans_virtio.c and
 * QEMU's hw/9pfs define it). One queue; a buffer is a request and room for its reply.
 *
 * Callers: the user of kernel/p9.h, in threads, one at a time. Ring 3. Lock: `lock`, for the queue.
 */
#include <errno.h>

#include "kernel/clock.h"
#include "kernel/p9.h"
#include "kernel/spinlock.h"
#include "kernel/sync.h"
#include "kernel/virtio/virtio.h"

#define ENTRIES 128
#define PATIENCE_NS NS_PER_SECOND /* then we look whether the device is still there */
#define PARTS 4

struct p9 {
    struct p9_device device;
    struct virtio_device *dev;
    struct spinlock lock;
    struct semaphore done;
    bool is_done;
    uint32_t got; /* bytes of the reply */
};

static void used(struct virtio_queue *q)
{
    struct p9 *p9 = q->dev->state;
    bool unmask = spin_lock(&p9->lock);
    void *cookie;
    uint32_t written;

    do {
        while (virtio_reap(q, &cookie, &written) == 0) {
            p9->got = written;
            p9->is_done = true;
            semaphore_post(&p9->done);
        }
    } while (!q->dev->is_broken && !virtio_listen(q));
    spin_unlock(&p9->lock, unmask);
}

static void broken(struct virtio_device *dev)
{
    struct p9 *p9 = dev->state;

    semaphore_post(&p9->done); /* whoever waits finds out */
}

static long exchange(struct p9_device *device, const struct p9_exchange *e)
{
    struct p9 *p9 = (struct p9 *)device; /* its first member */
    struct virtio_queue *q = &p9->dev->queues[0];
    struct vq_piece pieces[PARTS];
    unsigned n = 0;

    pieces[n++] = (struct vq_piece){e->request, e->request_bytes};
    if (e->request_data_bytes)
        pieces[n++] = (struct vq_piece){e->request_data, e->request_data_bytes};
    unsigned nr_out = n;
    pieces[n++] = (struct vq_piece){e->reply, e->reply_bytes};
    if (e->reply_data_bytes)
        pieces[n++] = (struct vq_piece){e->reply_data, e->reply_data_bytes};
    p9->is_done = false;
    semaphore_init(&p9->done, 0);

    bool unmask = spin_lock(&p9->lock);
    int error = virtio_add(q, pieces, nr_out, n - nr_out, p9);
    if (!error)
        virtio_kick(q);
    spin_unlock(&p9->lock, unmask);
    if (error)
        return -EIO;                            /* broken: nothing else is in the queue */
    while (!p9->is_done && !p9->dev->is_broken) /* set before broken() is called */
        if (semaphore_timedwait(&p9->done, clock_monotonic_ns() + PATIENCE_NS) == -ETIMEDOUT) {
            virtio_check(p9->dev);
            used(q);
        }
    return p9->is_done ? (long)p9->got : -EIO;
}

static int probe(struct virtio_device *dev)
{
    struct p9 *p9 = dev->state;
    int error =
        virtio_queue_create(dev, 0, &(struct virtio_queue_options){.entries = ENTRIES}, used);

    if (!error)
        error = virtio_ready(dev);
    if (error)
        return error;
    virtio_listen(&dev->queues[0]);
    p9->dev = dev;
    p9->device.exchange = exchange;
    p9_register(&p9->device);
    return 0;
}

const struct virtio_driver virtio_p9_driver = {
    .name = "9p",
    .device_id = VIRTIO_ID_9P,
    .state_bytes = sizeof(struct p9),
    .probe = probe,
    .broken = broken,
};
