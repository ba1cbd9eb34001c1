/*
 * The network device (virtio 1.2, section 5.1): one receive and one transmit queue behind
 * kernel/netdev.h. Checksums and segmentation are the device's where it offers that.
 *
 * Callers: the stack, one thread at a time per device (netdev.h); free_buffer by any. Ring 3.
 * Locks: the stack's for the queues; `freed_lock` for the buffers that came back.
 *
 * Receive buffers are halves of pages, which the device fills and the stack reads in place. Those
 * that the stack keeps are replaced, up to a share of memory; the ring is refilled in batches.
 * Transmitted packets are reaped when others are sent or received: their interrupt is on only while
 * the stack waits for room.
 */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/netdev.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/virtio/virtio.h"
#include "kernel/vm.h"

enum { /* feature bits, 5.1.3 */
       F_CSUM = 0,
       F_GUEST_CSUM = 1,
       F_MTU = 3,
       F_MAC = 5,
       F_GUEST_TSO4 = 7,
       F_GUEST_TSO6 = 8,
       F_HOST_TSO4 = 11,
       F_HOST_TSO6 = 12,
       F_MRG_RXBUF = 15,
       F_STATUS = 16,
};
#define BIT(feature) (1ull << (feature))
#define GUEST_TSO (BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6))
#define HOST_TSO (BIT(F_HOST_TSO4) | BIT(F_HOST_TSO6))

enum { /* configuration, 5.1.4 */
       CONFIG_MAC = 0,
       CONFIG_STATUS = 6,
       CONFIG_MTU = 10,
};
#define STATUS_LINK_UP 1

struct header { /* before each packet, 5.1.6 */
    uint8_t flags;
    uint8_t segmentation;
    uint16_t header_bytes;
    uint16_t segment_bytes;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t nr_buffers; /* received ones */
};
#define FLAG_NEEDS_CHECKSUM 1
#define FLAG_DATA_VALID 2
#define SEGMENT_NONE 0
#define SEGMENT_TCP4 1
#define SEGMENT_TCP6 4

#define RX_QUEUE 0
#define TX_QUEUE 1
#define ENTRIES VQ_MAX_ENTRIES
#define TX_TABLES 16

#define ETHERNET_BYTES 14
#define MTU_DEFAULT 1500
#define MTU_MIN 68 /* of IPv4; 5.1.4.1 */

/* --- Receive buffers ------------------------------------------------------------------------- */

#define BUFFER_BYTES 2048
/* The header, placed so that what follows the Ethernet header is aligned to 8 bytes, and with IPv4
 * so is TCP's payload. Where that goes on in further buffers, all its parts are copied to
 * alignments like the first (libc-glue/memory.S says what that is worth), as the room is a multiple
 * of 8. */
#define HEADER_AT (sizeof(struct netdev_buffer) + 6)
#define ROOM_BYTES ((BUFFER_BYTES - HEADER_AT - NETDEV_TAIL_BYTES) & -8ul)
#define ROOM_MTU (ROOM_BYTES - sizeof(struct header) - ETHERNET_BYTES)
/* A packet of 64 KiB with its headers has no more. */
#define PACKET_MAX_BUFFERS ((65536 + 256) / ROOM_BYTES + 1)

#define GROWTH_BYTES (32 * PAGE_SIZE)
/* Buffers take at most this share of memory, but enough for the ring. */
#define MEMORY_SHARE 8
/* The ring is refilled once this share of its buffers is missing. */
#define REFILL_SHARE 8

struct tx_slot {
    struct header header;
    struct tx_slot *next; /* free ones */
    void *cookie;         /* the stack's */
};
_Static_assert(PAGE_SIZE % sizeof(struct tx_slot) == 0, "no header crosses a page");

struct net {
    struct netdev dev; /* first: net_of */
    struct virtio_device *virtio;
    struct virtio_queue *rx, *tx;

    struct netdev_buffer *free; /* for the ring */
    size_t nr_buffers, max_buffers;

    struct spinlock freed_lock; /* protects the next two */
    struct netdev_buffer *freed;
    bool is_starved; /* the ring runs dry: the next buffer freed is news */

    struct tx_slot *free_slots;
    bool stack_waits; /* for room to transmit */
    alignas(16) struct tx_slot slots[ENTRIES];
};

static struct net *net_of(struct netdev *dev)
{
    return (struct net *)dev;
}

static char *header_of(struct netdev_buffer *b)
{
    return (char *)b + HEADER_AT;
}

static void wake(struct net *net)
{
    const struct netdev_stack *stack = net->dev.stack;

    if (stack)
        stack->wake(&net->dev);
}

static void free_buffer(struct netdev *dev, struct netdev_buffer *b)
{
    struct net *net = net_of(dev);
    bool unmask = spin_lock(&net->freed_lock), was_starved = net->is_starved;

    b->next = net->freed;
    net->freed = b;
    net->is_starved = false;
    spin_release(&net->freed_lock);
    if (was_starved)
        wake(net);
    pv_events_restore(unmask);
}

/* Makes more buffers. They are never given back. */
static int grow(struct net *net)
{
    size_t left = net->max_buffers - net->nr_buffers;
    size_t bytes = left * BUFFER_BYTES < GROWTH_BYTES ? left * BUFFER_BYTES : GROWTH_BYTES;
    void *memory;

    bytes &= -PAGE_SIZE;
    int error =
        bytes ? vm_map(&memory, bytes, VM_READ | VM_WRITE | VM_DIRTY, "network buffers") : -ENOMEM;
    if (error)
        return error;
    for (size_t at = 0; at < bytes; at += BUFFER_BYTES) {
        struct netdev_buffer *b = (struct netdev_buffer *)((char *)memory + at);

        b->next = net->free;
        net->free = b;
    }
    net->nr_buffers += bytes / BUFFER_BYTES;
    return 0;
}

/* Takes what the stack freed. If there is nothing and the ring is about to run dry, asks to hear of
 * the next one. */
static bool take_freed(struct net *net)
{
    bool is_dry = vq_outstanding(&net->rx->vq) <= net->rx->vq.entries / REFILL_SHARE;
    bool unmask = spin_lock(&net->freed_lock);

    net->free = net->freed;
    net->freed = NULL;
    net->is_starved = is_dry && !net->free;
    spin_unlock(&net->freed_lock, unmask);
    return net->free != NULL;
}

/* 5.1.6.3: gives the device buffers, as many as there is room for. */
static void refill(struct net *net)
{
    unsigned room = vq_room(&net->rx->vq);

    if (room < net->rx->vq.entries / REFILL_SHARE)
        return;
    while (room) {
        struct netdev_buffer *b = net->free;

        if (!b && !take_freed(net) && grow(net))
            break;
        b = net->free;
        if (virtio_add(net->rx, (struct vq_piece[]){{header_of(b), ROOM_BYTES}}, 0, 1, b))
            break;
        net->free = b->next;
        room--;
    }
    if (virtio_kick(net->rx))
        net->dev.counts.kicks++;
}

/* --- Receiving (5.1.6.4) ---------------------------------------------------------------------- */

static void give_back(struct net *net, struct netdev_buffer *b)
{
    while (b) {
        struct netdev_buffer *next = b->next;

        b->next = net->free;
        net->free = b;
        b = next;
    }
}

static int lied(struct net *net, const char *what, uint32_t value)
{
    virtio_break(net->virtio, "a received packet has bad %s %u", what, value);
    return -EIO;
}

/* The further buffers of a merged packet. The device uses them all together. */
static int receive_rest(struct net *net, struct netdev_rx *packet, unsigned nr_buffers)
{
    struct netdev_buffer *last = packet->first;

    for (unsigned i = 1; i < nr_buffers; i++) {
        uint32_t bytes;
        void *cookie;
        int error = virtio_reap(net->rx, &cookie, &bytes);

        if (error)
            return error == -EAGAIN ? lied(net, "number of buffers", nr_buffers) : error;
        struct netdev_buffer *b = cookie;

        b->next = NULL;
        b->data = header_of(b);
        b->bytes = bytes;
        last->next = b;
        last = b;
        packet->bytes += bytes;
        if (!bytes)
            return lied(net, "length", 0);
    }
    return 0;
}

/* -EAGAIN: there is none. -EIO: broken; what was received of it is in the packet. */
static int receive(struct net *net, struct netdev_rx *packet)
{
    uint32_t bytes;
    void *cookie;
    int error = virtio_reap(net->rx, &cookie, &bytes);

    packet->first = NULL;
    if (error)
        return error;
    struct netdev_buffer *b = cookie;
    const struct header *h = (const struct header *)header_of(b);

    packet->first = b;
    b->next = NULL;
    if (bytes < sizeof(*h))
        return lied(net, "length", bytes);
    b->data = header_of(b) + sizeof(*h);
    b->bytes = bytes - (uint32_t)sizeof(*h);
    packet->bytes = b->bytes;
    /* Without GUEST_CSUM both are 0. With NEEDS_CHECKSUM the packet never was on a wire. */
    packet->checksum_is_good =
        h->flags & (FLAG_NEEDS_CHECKSUM | FLAG_DATA_VALID) && virtio_has(net->virtio, F_GUEST_CSUM);
    unsigned nr_buffers = virtio_has(net->virtio, F_MRG_RXBUF) ? h->nr_buffers : 1;

    if (nr_buffers == 1)
        return 0;
    if (!nr_buffers || nr_buffers > PACKET_MAX_BUFFERS)
        return lied(net, "number of buffers", nr_buffers);
    return receive_rest(net, packet, nr_buffers);
}

/* --- Transmitting (5.1.6.2) --------------------------------------------------------------------
 */

static void sent(struct net *net, struct tx_slot *slot)
{
    slot->next = net->free_slots;
    net->free_slots = slot;
    net->dev.stack->transmitted(&net->dev, slot->cookie);
}

static void reap_sent(struct net *net)
{
    uint32_t bytes;
    void *slot;

    while (virtio_reap(net->tx, &slot, &bytes) == 0)
        sent(net, slot);
}

static int fill_header(const struct net *net, const struct netdev_tx *packet, struct header *h)
{
    unsigned has = net->dev.features;

    *h = (struct header){0};
    if (packet->checksum_start || packet->checksum_offset) {
        if (!(has & NETDEV_TX_CHECKSUM))
            return -EINVAL;
        h->flags = FLAG_NEEDS_CHECKSUM;
        h->checksum_start = packet->checksum_start;
        h->checksum_offset = packet->checksum_offset;
    }
    if (packet->segment_bytes) {
        if (!(has & (packet->is_ipv6 ? NETDEV_TX_TSO6 : NETDEV_TX_TSO4)) || !h->flags)
            return -EINVAL;
        h->segmentation = packet->is_ipv6 ? SEGMENT_TCP6 : SEGMENT_TCP4;
        h->segment_bytes = packet->segment_bytes;
        h->header_bytes = packet->header_bytes;
    }
    return 0;
}

_Static_assert(sizeof(struct header) <= NETDEV_HEADROOM, "a header fits before a packet");

static struct header *header_before(const void *data)
{
    return (struct header *)((uintptr_t)data - sizeof(struct header));
}

static int transmit(struct netdev *dev, const struct netdev_tx *packet)
{
    struct vq_piece pieces[1 + NETDEV_MAX_FRAGMENTS];
    struct net *net = net_of(dev);
    size_t bytes = 0;

    if (dev->is_broken)
        return -EIO;
    if (packet->nr_fragments < 1 || packet->nr_fragments > NETDEV_MAX_FRAGMENTS)
        return -EINVAL;
    if (vq_room(&net->tx->vq) < ENTRIES / 2)
        reap_sent(net);
    struct tx_slot *slot = net->free_slots;
    struct header *header = packet->has_headroom ? header_before(packet->fragments[0].data)
                            : slot               ? &slot->header
                                                 : NULL;
    int error = slot ? fill_header(net, packet, header) : -EAGAIN;

    if (!error) {
        unsigned nr = 0;

        if (!packet->has_headroom)
            pieces[nr++] = (struct vq_piece){header, sizeof(*header)};
        for (unsigned i = 0; i < packet->nr_fragments; i++) {
            pieces[nr++] = (struct vq_piece){packet->fragments[i].data, packet->fragments[i].bytes};
            bytes += packet->fragments[i].bytes;
        }
        if (packet->has_headroom) {
            pieces[0].data = header;
            pieces[0].bytes += sizeof(*header);
        }
        error = virtio_add(net->tx, pieces, nr, 0, slot);
    }
    net->stack_waits = error == -EAGAIN;
    if (error)
        return error;
    net->free_slots = slot->next;
    slot->cookie = packet->cookie;
    dev->counts.tx_packets++;
    dev->counts.tx_bytes += bytes;
    return 0;
}

static void kick(struct netdev *dev)
{
    if (virtio_kick(net_of(dev)->tx))
        dev->counts.kicks++;
}

/* --- Both ------------------------------------------------------------------------------------ */

/* What a broken device will never send is reported as sent, so that the stack has it back. */
static void take_back(struct net *net)
{
    void *slot;

    while (virtio_take_back(net->tx, &slot))
        sent(net, slot);
}

static unsigned poll(struct netdev *dev, unsigned budget)
{
    struct net *net = net_of(dev);
    struct netdev_rx packet;
    unsigned count = 0;
    int error = 0;

    reap_sent(net);
    while (count < budget && (error = receive(net, &packet)) == 0) {
        count++;
        dev->counts.rx_packets++;
        dev->counts.rx_bytes += packet.bytes;
        dev->stack->receive(dev, &packet);
    }
    if (error == -EIO) {
        give_back(net, packet.first);
        take_back(net);
        return count;
    }
    refill(net);
    return count;
}

static bool listen(struct netdev *dev)
{
    struct net *net = net_of(dev);

    if (dev->is_broken)
        return true;
    reap_sent(net);
    if (virtio_listen(net->rx) && (!net->stack_waits || virtio_listen(net->tx)))
        return true;
    virtio_silence(net->rx);
    return false;
}

static void check(struct netdev *dev)
{
    virtio_check(net_of(dev)->virtio);
}

static const struct netdev_ops ops = {
    .transmit = transmit,
    .kick = kick,
    .poll = poll,
    .listen = listen,
    .free_buffer = free_buffer,
    .check = check,
};

/* --- Events ---------------------------------------------------------------------------------- */

static void used(struct virtio_queue *q)
{
    struct net *net = q->dev->state;

    net->dev.counts.interrupts++;
    virtio_silence(q);
    wake(net);
}

static bool link_is_up(struct virtio_device *virtio)
{
    uint16_t status = STATUS_LINK_UP;

    if (virtio_has(virtio, F_STATUS))
        virtio_config_read(virtio, CONFIG_STATUS, &status, sizeof(status));
    return status & STATUS_LINK_UP;
}

static void config_changed(struct virtio_device *virtio)
{
    struct net *net = virtio->state;
    bool is_up = link_is_up(virtio);

    if (is_up == net->dev.link_is_up)
        return;
    net->dev.link_is_up = is_up;
    if (net->dev.stack)
        net->dev.stack->link_changed(&net->dev);
}

static void broken(struct virtio_device *virtio)
{
    struct net *net = virtio->state;

    net->dev.is_broken = true;
    net->dev.link_is_up = false;
    if (net->dev.stack)
        net->dev.stack->link_changed(&net->dev);
}

/* --- Probe ----------------------------------------------------------------------------------- */

static uint16_t device_mtu(struct virtio_device *virtio)
{
    uint16_t mtu;

    virtio_config_read(virtio, CONFIG_MTU, &mtu, sizeof(mtu));
    return mtu;
}

/* Takes away what goes only with features that are not there (5.1.3.1), or with other buffers. */
static uint64_t choose(struct virtio_device *virtio, uint64_t features)
{
    if (!(features & BIT(F_CSUM)))
        features &= ~HOST_TSO;
    if (!(features & BIT(F_GUEST_CSUM)) || !(features & BIT(F_MRG_RXBUF)))
        features &= ~GUEST_TSO;
    if (features & BIT(F_MTU)) {
        uint16_t mtu = device_mtu(virtio);

        if (mtu < MTU_MIN) {
            log_warn("%s: its MTU %u is nonsense and ignored", virtio->name, mtu);
            features &= ~BIT(F_MTU);
        } else if (mtu > ROOM_MTU && !(features & BIT(F_MRG_RXBUF))) {
            features &= ~BIT(F_MTU);
        }
    }
    return features;
}

static unsigned netdev_features_of(const struct virtio_device *virtio)
{
    return (virtio_has(virtio, F_CSUM) ? NETDEV_TX_CHECKSUM : 0u) |
           (virtio_has(virtio, F_HOST_TSO4) ? NETDEV_TX_TSO4 : 0u) |
           (virtio_has(virtio, F_HOST_TSO6) ? NETDEV_TX_TSO6 : 0u) |
           (virtio_has(virtio, F_GUEST_CSUM) ? NETDEV_RX_CHECKSUM : 0u);
}

/* 5.1.4: one that the driver chooses, locally administered, unicast. */
static void choose_mac(uint8_t *mac)
{
    uint64_t now = clock_wall_ns() * 0x9e3779b97f4a7c15ull >> 16;

    memcpy(mac, &now, NETDEV_MAC_BYTES);
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static void set_up_netdev(struct net *net)
{
    struct virtio_device *virtio = net->virtio;

    if (virtio_has(virtio, F_MAC))
        virtio_config_read(virtio, CONFIG_MAC, net->dev.mac, NETDEV_MAC_BYTES);
    else
        choose_mac(net->dev.mac);
    net->dev.mtu_bytes = virtio_has(virtio, F_MTU) ? device_mtu(virtio) : MTU_DEFAULT;
    net->dev.features = netdev_features_of(virtio);
    net->dev.link_is_up = link_is_up(virtio);
    net->dev.ops = &ops;
}

static void set_up_memory(struct net *net)
{
    struct page_counts pages;

    page_counts(&pages);
    net->max_buffers = pages.free_pages / MEMORY_SHARE * (PAGE_SIZE / BUFFER_BYTES);
    for (unsigned i = 0; i < ENTRIES; i++) {
        net->slots[i].next = net->free_slots;
        net->free_slots = &net->slots[i];
    }
}

static int probe(struct virtio_device *virtio)
{
    struct net *net = virtio->state;
    int error = virtio_queue_create(virtio, RX_QUEUE,
                                    &(struct virtio_queue_options){.entries = ENTRIES}, used);

    if (!error)
        error = virtio_queue_create(
            virtio, TX_QUEUE,
            &(struct virtio_queue_options){.entries = ENTRIES, .tables = TX_TABLES}, used);
    if (error)
        return error;
    net->virtio = virtio;
    net->rx = &virtio->queues[RX_QUEUE];
    net->tx = &virtio->queues[TX_QUEUE];
    set_up_netdev(net);
    set_up_memory(net);
    error = virtio_ready(virtio);
    if (error)
        return error;
    refill(net);
    netdev_register(&net->dev);
    return 0;
}

const struct virtio_driver virtio_net_driver = {
    .name = "net",
    .device_id = VIRTIO_ID_NET,
    .features = BIT(F_CSUM) | BIT(F_GUEST_CSUM) | BIT(F_MTU) | BIT(F_MAC) | GUEST_TSO | HOST_TSO |
                BIT(F_MRG_RXBUF) | BIT(F_STATUS),
    .state_bytes = sizeof(struct net),
    .choose = choose,
    .probe = probe,
    .config_changed = config_changed,
    .broken = broken,
};
