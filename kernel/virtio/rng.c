/*
 * The entropy device (virtio 1.2, section 5.4): one queue; each buffer comes back with some random
 * bytes in it, at least one.
 *
 * Callers: kernel/entropy.c, in threads. Ring 3. Lock: `mutex`, one request at a time. The
 * request's buffer is the driver's own, so that a reader that gives up leaves the device nothing of
 * its.
 */
#include <errno.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/entropy.h"
#include "kernel/sync.h"
#include "kernel/virtio/virtio.h"

#define BUFFER_BYTES 256
/* The host may have to gather them. Afterwards the reader fails, not the device. */
#define PATIENCE_NS (10 * NS_PER_SECOND)

struct rng {
    struct entropy_source source;
    struct virtio_device *dev;
    struct mutex mutex;
    struct semaphore used;
    bool is_requested; /* the device has the buffer */
    char buffer[BUFFER_BYTES];
};

static void used(struct virtio_queue *q)
{
    struct rng *rng = q->dev->state;

    semaphore_post(&rng->used);
}

static void broken(struct virtio_device *dev)
{
    struct rng *rng = dev->state;

    semaphore_post(&rng->used); /* the reader finds out */
}

/* Has the device fill the buffer; *bytes: how much it did. */
static int request(struct rng *rng, uint32_t *bytes)
{
    struct virtio_queue *q = &rng->dev->queues[0];
    const uint64_t deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
    void *cookie;

    if (!rng->is_requested) {
        int error =
            virtio_add(q, (struct vq_piece[]){{rng->buffer, sizeof(rng->buffer)}}, 0, 1, rng);
        if (error)
            return -EIO;
        rng->is_requested = true;
        virtio_kick(q);
    }
    for (;;) {
        int error = virtio_reap(q, &cookie, bytes);
        if (error != -EAGAIN) {
            rng->is_requested = error != 0;
            return error;
        }
        if (virtio_listen(q) && semaphore_timedwait(&rng->used, deadline_ns))
            return -EIO;
    }
}

static int read(struct entropy_source *source, void *buffer, size_t bytes)
{
    struct rng *rng = (struct rng *)source; /* its first member */
    char *out = buffer;
    int error = 0;

    mutex_lock(&rng->mutex);
    while (bytes && !error) {
        uint32_t got = 0;

        error = request(rng, &got);
        if (!error && !got) { /* 5.4.6.2: the device must write one byte at least */
            virtio_break(rng->dev, "it sent no bytes");
            error = -EIO;
        }
        size_t part = got < bytes ? got : bytes;
        memcpy(out, rng->buffer, part);
        memset(rng->buffer, 0, part); /* nobody is to learn what was handed out */
        out += part;
        bytes -= part;
    }
    mutex_unlock(&rng->mutex);
    return error;
}

static int probe(struct virtio_device *dev)
{
    struct rng *rng = dev->state;
    int error = virtio_queue_create(dev, 0, &(struct virtio_queue_options){.entries = 1}, used);

    if (!error)
        error = virtio_ready(dev);
    if (error)
        return error;
    rng->dev = dev;
    rng->source.read = read;
    entropy_register(&rng->source);
    return 0;
}

const struct virtio_driver virtio_rng_driver = {
    .name = "rng",
    .device_id = VIRTIO_ID_RNG,
    .state_bytes = sizeof(struct rng),
    .probe = probe,
    .broken = broken,
};
