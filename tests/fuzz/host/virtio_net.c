/*
 * A network device that lies: features, configuration, status, the used rings of both queues, the
 * headers of packets (kernel/virtio/vq.c, virtio.c, net.c), behind a transport of its own. The
 * input is a program of what device and stack do in turn.
 */
#include <errno.h>

#include "kernel/netdev.h"
#include "kernel/virtio/transport.h"
#include "tests/fuzz/host/fuzz.h"
#include "tests/fuzz/host/machine.h"

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

#define BUFFER_BYTES                                                                               \
    2048 /* net.c: a receive buffer, with what the driver and the stack keep in it */
#define MAX_KEPT 64
#define MAX_SENT 64

static struct fuzz_input *in;
static struct virtio_device *device;
static struct netdev *netdev;
static uint8_t device_status;
static uint16_t seen[2]; /* of the available rings, by an honest device */
static struct netdev_buffer *kept[MAX_KEPT];
static unsigned nr_kept;
static bool in_flight[MAX_SENT];
static char payload[256];
static unsigned sum;

/* --- The transport ------------------------------------------------------------------------------
 */

static uint8_t status(struct virtio_device *dev)
{
    device = dev;
    return device_status;
}

static void set_status(struct virtio_device *dev, uint8_t value)
{
    device = dev;
    device_status = value ? value : device_status & 0x80 ? device_status : 0; /* some never reset */
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
    if (offset + bytes > 12)
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

/* --- The stack ----------------------------------------------------------------------------------
 */

static void wake(struct netdev *dev)
{
    (void)dev;
}

static void free_kept(unsigned i)
{
    netdev->ops->free_buffer(netdev, kept[i]);
    kept[i] = kept[--nr_kept];
}

static void receive(struct netdev *dev, const struct netdev_rx *packet)
{
    size_t total = 0;

    for (struct netdev_buffer *b = packet->first, *next; b; b = next) {
        FUZZ_CHECK((char *)b->data >= b->stack + sizeof(b->stack) &&
                   (char *)b->data + b->bytes + NETDEV_TAIL_BYTES <= (char *)b + BUFFER_BYTES);
        for (uint32_t i = 0; i < b->bytes; i++)
            sum += ((uint8_t *)b->data)[i];
        total += b->bytes;
        next = b->next;
        for (unsigned i = 0; i < nr_kept; i++)
            FUZZ_CHECK(kept[i] != b);
        memset(b->stack, 0xee, sizeof(b->stack));
        if (nr_kept < MAX_KEPT)
            kept[nr_kept++] = b;
        else
            dev->ops->free_buffer(dev, b);
    }
    FUZZ_CHECK(total == packet->bytes);
}

static void transmitted(struct netdev *dev, void *cookie)
{
    bool *slot = cookie;

    (void)dev;
    FUZZ_CHECK(slot >= in_flight && slot < in_flight + MAX_SENT && *slot);
    *slot = false;
}

static void link_changed(struct netdev *dev)
{
    (void)dev;
}

static const struct netdev_stack stack = {
    .wake = wake, .receive = receive, .transmitted = transmitted, .link_changed = link_changed};

void netdev_register(struct netdev *dev)
{
    netdev = dev;
    dev->stack = &stack;
}

static void transmit(void)
{
    struct netdev_tx packet = {.nr_fragments = fuzz_u8(in) % (NETDEV_MAX_FRAGMENTS + 2)};
    unsigned slot = 0;

    while (slot < MAX_SENT && in_flight[slot])
        slot++;
    if (slot == MAX_SENT)
        return;
    for (unsigned i = 0; i < packet.nr_fragments && i < NETDEV_MAX_FRAGMENTS; i++) {
        packet.fragments[i].data = payload;
        packet.fragments[i].bytes = 1 + fuzz_u8(in) % sizeof(payload);
    }
    packet.checksum_start = fuzz_u8(in) & 1 ? 34 : 0;
    packet.checksum_offset = packet.checksum_start ? 16 : 0;
    packet.segment_bytes = fuzz_u8(in) & 1 ? 1448 : 0;
    packet.cookie = &in_flight[slot];
    in_flight[slot] = true;
    if (netdev->ops->transmit(netdev, &packet))
        in_flight[slot] = false;
}

/* --- The device ---------------------------------------------------------------------------------
 */

static void write_used(struct vq *vq, uint32_t id, uint32_t bytes)
{
    struct used *used = (void *)(uintptr_t)vq->used_at.n;

    used->ring[used->index & (vq->entries - 1)].id = id;
    used->ring[used->index & (vq->entries - 1)].bytes = bytes;
    used->index++;
}

/* Uses the next buffer, nearly as it should: the first bytes and how many are the input's. */
static void use_next(unsigned n)
{
    struct vq *vq = &device->queues[n].vq;
    const struct available *available = (void *)(uintptr_t)vq->available_at.n;
    const struct descriptor *d = (void *)(uintptr_t)vq->descriptors_at.n;

    if (seen[n] == available->index)
        return;

    uint16_t head = available->ring[seen[n]++ & (vq->entries - 1)];
    uint32_t bytes = fuzz_u16(in) % 2200;

    FUZZ_CHECK(head < vq->entries);
    if (d[head].flags & 2) {
        uint8_t count = fuzz_u8(in) % 20, *to = (void *)(uintptr_t)d[head].address;

        FUZZ_CHECK(d[head].bytes >= 20);
        fuzz_take(in, to, count);
    }
    write_used(vq, head, bytes);
}

static void device_step(uint8_t what)
{
    unsigned n = what & 1;
    struct vq *vq = &device->queues[n].vq;
    struct used *used = (void *)(uintptr_t)vq->used_at.n;

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
        device_status = fuzz_u8(in);
        break;
    default:
        for (unsigned count = 1 + fuzz_u8(in) % 8; count > 0; count--)
            use_next(n);
    }
}

static void stack_step(uint8_t what)
{
    switch (what & 7) {
    case 0:
        transmit();
        break;
    case 1:
        netdev->ops->kick(netdev);
        break;
    case 2:
        netdev->ops->listen(netdev);
        break;
    case 3:
        virtio_queues_used(device);
        break;
    case 4:
        virtio_config_changed(device);
        break;
    case 5:
        if (nr_kept)
            free_kept(fuzz_u8(in) % nr_kept);
        break;
    default:
        netdev->ops->poll(netdev, 1 + fuzz_u8(in) % 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};

    in = &input;
    device = NULL;
    netdev = NULL;
    device_status = 0;
    nr_kept = 0;
    memset(seen, 0, sizeof(seen));
    memset(in_flight, 0, sizeof(in_flight));
    if (virtio_found(&transport, "", VIRTIO_ID_NET, "here") == 0) {
        FUZZ_CHECK(netdev);
        while (fuzz_left(in)) {
            uint8_t what = fuzz_u8(in);

            if (what & 0x80)
                device_step(what);
            else
                stack_step(what);
        }
        netdev->ops->poll(netdev, 64);
        while (nr_kept)
            free_kept(0);
    }
    machine_free();
    return 0;
}
