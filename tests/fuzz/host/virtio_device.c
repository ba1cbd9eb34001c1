/* See virtio_device.h. */
#include "tests/fuzz/host/virtio_device.h"

#include <errno.h>

#include "kernel/virtio/transport.h"

#define LEAST_BYTES 20 /* of a buffer that a device may write to, but for a request's status */
#define MAX_CHAIN 300

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 }; /* 2.7.5 */

/* virtio 1.2, 2.7.5, 2.7.6 and 2.7.8, as the device sees them. */
struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
struct available {
    uint16_t flags, index, ring[];
};
struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, bytes;
    } ring[];
};

struct virtio_device *virtio_device;
uint8_t virtio_device_status;

static struct fuzz_input *in;
static unsigned config_bytes;
static uint16_t seen[VIRTIO_MAX_QUEUES]; /* of the available rings, by an honest device */

/* --- The transport ---------------------------------------------------------------------------- */

static uint8_t status(struct virtio_device *dev)
{
    virtio_device = dev;
    return virtio_device_status;
}

static void set_status(struct virtio_device *dev, uint8_t value)
{
    virtio_device = dev;
    virtio_device_status = value                         ? value
                           : virtio_device_status & 0x80 ? virtio_device_status
                                                         : 0; /* some never reset */
}

static uint64_t features(struct virtio_device *dev)
{
    (void)dev;
    return (uint64_t)fuzz_u32(in) | (uint64_t)(fuzz_u8(in) | 1) << 32;
}

static void set_features(struct virtio_device *dev, uint64_t value)
{
    (void)dev, (void)value;
}

static int config_read(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t *value)
{
    (void)dev;
    *value = 0;
    if (offset + bytes > config_bytes)
        return -EINVAL;
    fuzz_take(in, value, bytes);
    return 0;
}

static int config_write(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t value)
{
    (void)dev, (void)offset, (void)bytes, (void)value;
    return 0;
}

static uint32_t config_generation(struct virtio_device *dev)
{
    (void)dev;
    return fuzz_u8(in) & 1;
}

static unsigned queue_max(struct virtio_device *dev, unsigned index)
{
    (void)dev, (void)index;
    return fuzz_u16(in);
}

static int bind(struct virtio_device *dev)
{
    (void)dev;
    return fuzz_u8(in) == 0xff ? -EIO : 0;
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
    (void)q;
}

static const struct virtio_transport transport = {
    .name = "fuzz",
    .bus_bytes = 1,
    .status = status,
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

/* --- The device ------------------------------------------------------------------------------- */

static void write_used(struct vq *vq, uint32_t id, uint32_t bytes)
{
    struct used *used = (void *)(uintptr_t)vq->used_at.n;

    used->ring[used->index & (vq->entries - 1)].id = id;
    used->ring[used->index & (vq->entries - 1)].bytes = bytes;
    used->index++;
}

/* The descriptors that the device may write to: the first, and the last if that is another. */
static void find_writable(const struct descriptor *table, uint16_t head,
                          const struct descriptor *found[2])
{
    const struct descriptor *d = &table[head];

    if (d->flags & INDIRECT) {
        FUZZ_CHECK(!(d->flags & NEXT) && d->bytes % sizeof(*d) == 0);
        table = d = (const void *)(uintptr_t)d->address;
    }
    found[0] = found[1] = NULL;
    for (unsigned n = 0;; n++) {
        FUZZ_CHECK(n < MAX_CHAIN);
        if (d->flags & WRITE)
            found[found[0] != NULL] = d;
        if (!(d->flags & NEXT))
            break;
        d = &table[d->next];
    }
}

/* Uses the next buffer, nearly as it should: the first bytes, the last one, and how many are the
 * input's. */
static void use_next(unsigned n)
{
    struct vq *vq = &virtio_device->queues[n].vq;
    const struct available *available = (void *)(uintptr_t)vq->available_at.n;
    const struct descriptor *writable[2];

    if (seen[n] == available->index)
        return;

    uint16_t head = available->ring[seen[n]++ & (vq->entries - 1)];
    uint32_t bytes = fuzz_u16(in) % 2200;

    FUZZ_CHECK(head < vq->entries);
    find_writable((void *)(uintptr_t)vq->descriptors_at.n, head, writable);
    if (writable[0]) {
        uint8_t count = fuzz_u8(in) % LEAST_BYTES;

        fuzz_take(in, (void *)(uintptr_t)writable[0]->address,
                  count < writable[0]->bytes ? count : writable[0]->bytes);
    }
    if (writable[1])
        fuzz_take(in, (char *)(uintptr_t)writable[1]->address + writable[1]->bytes - 1, 1);
    write_used(vq, head, bytes);
}

void virtio_device_step(uint8_t what)
{
    unsigned n = what & 1;
    struct vq *vq = &virtio_device->queues[n].vq;
    struct used *used = (void *)(uintptr_t)vq->used_at.n;

    if (n >= virtio_device->nr_queues)
        return;

    switch (what >> 1 & 7) {
    case 0:
        write_used(vq, fuzz_u32(in), fuzz_u32(in));
        break;
    case 1:
        write_used(vq, fuzz_u8(in), fuzz_u16(in));
        break;
    case 2:
        used->index += fuzz_u16(in);
        break;
    case 3: /* avail_event and flags */
        used->flags = fuzz_u16(in);
        *(uint16_t *)&used->ring[vq->entries] = fuzz_u16(in);
        break;
    case 4:
        virtio_device_status = fuzz_u8(in);
        break;
    default:
        for (unsigned count = 1 + fuzz_u8(in) % 8; count > 0; count--)
            use_next(n);
    }
}

int virtio_device_plug(struct fuzz_input *input, uint32_t device_id, unsigned bytes)
{
    in = input;
    virtio_device = NULL;
    virtio_device_status = 0;
    config_bytes = bytes;
    memset(seen, 0, sizeof(seen));
    return virtio_found(&transport, "", device_id, "here");
}
