/*
 * See fake_device.h. The rings are read and written by the layout of virtio 1.2, section 2.7.
 */
#include "tests/guest/fake_device.h"

#include <errno.h>
#include <string.h>

#include "kernel/virtio/transport.h"
#include "tests/guest/test.h"

#define F_VERSION_1 32
#define ENTRIES 64

struct bus {
    struct fake_device *device;
};

static struct fake_device *of(struct virtio_device *dev)
{
    const struct bus *bus = dev->bus;

    bus->device->dev = dev;
    return bus->device;
}

static uint8_t get_status(struct virtio_device *dev)
{
    return of(dev)->status;
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
    of(dev)->status = status;
}

static uint64_t features(struct virtio_device *dev)
{
    return of(dev)->features | 1ull << F_VERSION_1;
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
    CHECK_EQ(features & ~(of(dev)->features | 1ull << F_VERSION_1), 0);
}

static int config_read(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t *value)
{
    *value = 0;
    if (offset + bytes > sizeof(of(dev)->config))
        return -EINVAL;
    memcpy(value, of(dev)->config + offset, bytes);
    return 0;
}

static int config_write(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t value)
{
    if (offset + bytes > sizeof(of(dev)->config))
        return -EINVAL;
    memcpy(of(dev)->config + offset, &value, bytes);
    return 0;
}

static uint32_t config_generation(struct virtio_device *dev)
{
    (void)dev;
    return 0;
}

static unsigned queue_max(struct virtio_device *dev, unsigned index)
{
    return index < of(dev)->nr_queues ? ENTRIES : 0;
}

static int bind(struct virtio_device *dev)
{
    (void)dev;
    return 0;
}

static void unbind(struct virtio_device *dev)
{
    (void)dev;
}

static int queue_enable(struct virtio_queue *q)
{
    (void)q;
    return 0;
}

static void notify(struct virtio_queue *q)
{
    struct fake_device *device = of(q->dev);

    if (device->notified)
        device->notified(device, q);
}

static const struct virtio_transport transport = {
    .name = "fake",
    .bus_bytes = sizeof(struct bus),
    .status = get_status,
    .set_status = set_status,
    .features = features,
    .set_features = set_features,
    .config_read = config_read,
    .config_write = config_write,
    .config_generation = config_generation,
    .queue_max = queue_max,
    .bind = bind,
    .unbind = unbind,
    .queue_enable = queue_enable,
    .notify = notify,
};

int fake_device_plug(struct fake_device *device)
{
    struct bus bus = {device};

    return virtio_found(&transport, &bus, device->device_id, "device");
}

int fake_device_take(struct fake_device *device, struct virtio_queue *q, uint64_t *address,
                     uint32_t *bytes)
{
    const volatile uint16_t *available = (void *)q->vq.available; /* flags, index, ring[] */
    const struct {
        uint64_t address;
        uint32_t bytes, flags_next;
    } *table = (void *)q->vq.descriptors;
    uint16_t *taken = &device->taken[q->index];

    if (*taken == available[1])
        return -1;
    int head = available[2 + (*taken)++ % q->vq.entries];
    *address = table[head].address;
    *bytes = table[head].bytes;
    return head;
}

unsigned fake_device_pieces(struct virtio_queue *q, unsigned head, struct fake_piece *out,
                            unsigned max)
{
    const struct {
        uint64_t address;
        uint32_t bytes;
        uint16_t flags, next;
    } *table = (void *)q->vq.descriptors;
    unsigned n = 0;

    for (unsigned at = head;; at = table[at].next) {
        if (n < max)
            out[n] = (struct fake_piece){table[at].address, table[at].bytes, table[at].flags & 2};
        n++;
        if (!(table[at].flags & 1))
            return n;
    }
}

void fake_device_use(struct virtio_queue *q, uint32_t id, uint32_t bytes)
{
    volatile uint16_t *used = (void *)q->vq.used; /* flags, index, then elements */
    volatile uint32_t *element = (volatile uint32_t *)(used + 2) + used[1] % q->vq.entries * 2ul;

    element[0] = id;
    element[1] = bytes;
    used[1]++;
}

void fake_device_jump(struct virtio_queue *q, uint16_t by)
{
    volatile uint16_t *used = (void *)q->vq.used;

    used[1] = (uint16_t)(used[1] + by);
}

void fake_device_interrupt(struct virtio_queue *q)
{
    bool unmask = pv_events_mask();

    virtio_queue_used(q);
    pv_events_restore(unmask);
}

void fake_device_config_changed(struct fake_device *device)
{
    bool unmask = pv_events_mask();

    virtio_config_changed(device->dev);
    pv_events_restore(unmask);
}
