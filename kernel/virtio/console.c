/*
 * The console device (virtio 1.2, section 5.3) without its multiport feature: a queue of input, a
 * queue of output. It serves the application's console where the command line says console=virtio
 * (kernel/console.h).
 *
 * Callers: kernel/console.c, in threads. Ring 3. Locks: `output` makes one writer at a time and
 * protects the transmit queue; readers are kept apart by console.c. What a writer gives is on its
 * way out when the call returns, so that the guest may end then.
 */
#include <errno.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/sync.h"
#include "kernel/virtio/virtio.h"

enum { QUEUE_RECEIVE = 0, QUEUE_TRANSMIT = 1 };

#define NR_INPUTS 8 /* each may cross a page, and so take two descriptors */
#define INPUT_BYTES 128
#define OUTPUT_BYTES 1024
#define PATIENCE_NS NS_PER_SECOND /* then we look whether the device is still there */

struct input {
    char bytes[INPUT_BYTES];
};

struct console {
    struct console_device device;
    struct virtio_device *dev;
    struct mutex output;
    struct semaphore sent;
    struct input inputs[NR_INPUTS];
    struct input *current; /* being read, or NULL */
    uint32_t current_at, current_bytes;
    char out[OUTPUT_BYTES];
};

static void transmit_used(struct virtio_queue *q)
{
    struct console *console = q->dev->state;

    semaphore_post(&console->sent);
}

static void receive_used(struct virtio_queue *q)
{
    (void)q;
    console_input_came();
}

static void broken(struct virtio_device *dev)
{
    struct console *console = dev->state;

    semaphore_post(&console->sent); /* the writer finds out */
    console_input_came();           /* so does a reader */
}

/* Hands out[0..bytes) to the device and waits until it has taken them. */
static bool send(struct console *console, size_t bytes)
{
    struct virtio_queue *q = &console->dev->queues[QUEUE_TRANSMIT];
    void *cookie;
    uint32_t written;

    if (virtio_add(q, (struct vq_piece[]){{console->out, bytes}}, 1, 0, console))
        return false;
    virtio_kick(q);
    while (!console->dev->is_broken) {
        if (virtio_reap(q, &cookie, &written) == 0)
            return true;
        if (virtio_listen(q) &&
            semaphore_timedwait(&console->sent, clock_monotonic_ns() + PATIENCE_NS))
            virtio_check(console->dev);
    }
    return false;
}

static size_t write(struct console_device *device, const char *text, size_t bytes)
{
    struct console *console = (struct console *)device; /* its first member */
    size_t done = 0;

    mutex_lock(&console->output);
    while (done < bytes) {
        size_t part = bytes - done < OUTPUT_BYTES ? bytes - done : OUTPUT_BYTES;

        memcpy(console->out, text + done, part);
        if (!send(console, part))
            break;
        done += part;
    }
    mutex_unlock(&console->output);
    return done;
}

static void offer(struct console *console, struct input *input)
{
    struct virtio_queue *q = &console->dev->queues[QUEUE_RECEIVE];

    virtio_add(q, (struct vq_piece[]){{input->bytes, INPUT_BYTES}}, 0, 1, input);
}

static int read(struct console_device *device, char *buffer, size_t bytes)
{
    struct console *console = (struct console *)device;
    struct virtio_queue *q = &console->dev->queues[QUEUE_RECEIVE];

    while (!console->current) {
        void *cookie;
        int error = virtio_reap(q, &cookie, &console->current_bytes);

        if (error == -EAGAIN && virtio_listen(q))
            return 0;
        if (error && error != -EAGAIN)
            return error;
        if (!error) {
            console->current = cookie;
            console->current_at = 0;
        }
    }
    size_t part = console->current_bytes - console->current_at;
    if (part > bytes)
        part = bytes;
    memcpy(buffer, console->current->bytes + console->current_at, part);
    console->current_at += (uint32_t)part;
    if (console->current_at == console->current_bytes) {
        offer(console, console->current);
        virtio_kick(q);
        console->current = NULL;
    }
    return (int)part;
}

static int probe(struct virtio_device *dev)
{
    struct console *console = dev->state;
    int error = virtio_queue_create(
        dev, QUEUE_RECEIVE, &(struct virtio_queue_options){.entries = 2 * NR_INPUTS}, receive_used);

    console->dev = dev;
    console->device.write = write;
    console->device.read = read;
    if (!error)
        error = virtio_queue_create(dev, QUEUE_TRANSMIT,
                                    &(struct virtio_queue_options){.entries = 4}, transmit_used);
    if (!error)
        error = virtio_ready(dev);
    if (error)
        return error;
    for (unsigned i = 0; i < NR_INPUTS; i++)
        offer(console, &console->inputs[i]);
    virtio_kick(&dev->queues[QUEUE_RECEIVE]);
    console_attach(&console->device);
    return 0;
}

const struct virtio_driver virtio_console_driver = {
    .name = "console",
    .device_id = VIRTIO_ID_CONSOLE,
    .state_bytes = sizeof(struct console),
    .probe = probe,
    .broken = broken,
};
