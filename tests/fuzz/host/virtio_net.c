/*
 * A network device that lies: features, configuration, status, the used rings of both queues, the
 * headers of packets (kernel/virtio/vq.c, virtio.c, net.c). The input is a program of what device
 * and stack do in turn.
 */
#include <errno.h>

#include "kernel/netdev.h"
#include "kernel/virtio/transport.h"
#include "tests/fuzz/host/fuzz.h"
#include "tests/fuzz/host/machine.h"
#include "tests/fuzz/host/virtio_device.h"

#define BUFFER_BYTES                                                                               \
    2048 /* net.c: a receive buffer, with what the driver and the stack keep in it */
#define CONFIG_BYTES 12
#define MAX_KEPT 64
#define MAX_SENT 64

static struct fuzz_input *in;
static struct netdev *netdev;
static struct netdev_buffer *kept[MAX_KEPT];
static unsigned nr_kept;
static bool in_flight[MAX_SENT];
static char payload[256];
static unsigned sum;

/* --- The stack -------------------------------------------------------------------------------- */

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
        virtio_queues_used(virtio_device);
        break;
    case 4:
        virtio_config_changed(virtio_device);
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
    netdev = NULL;
    nr_kept = 0;
    memset(in_flight, 0, sizeof(in_flight));
    if (virtio_device_plug(in, VIRTIO_ID_NET, CONFIG_BYTES) == 0) {
        FUZZ_CHECK(netdev);
        while (fuzz_left(in)) {
            uint8_t what = fuzz_u8(in);

            if (what & 0x80)
                virtio_device_step(what);
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
