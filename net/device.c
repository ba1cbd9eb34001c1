/*
 * Network devices as lwIP's interfaces.
 *
 * Callers: net/core.c's thread and whoever sends, under net_lock; on_wake and on_link_changed in
 * event context. A packet's memory is not copied either way: received buffers become lwIP's packet
 * (a custom pbuf in each buffer's `stack`), a packet sent is held until the device reports it. lwIP
 * does not change what is held so (tcp_output_segment_busy in its tcp_out.c).
 * Where the device cuts large TCP packets (TSO), lwIP makes such (net/segments.h).
 */
#include "net/device.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ip.h>
#include <lwip/prot/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "kernel/log.h"
#include "kernel/netdev.h"
#include "kernel/vm.h"
#include "net/connections.h"
#include "net/core.h"
#include "net/memory.h"
#include "net/net.h"
#include "net/packet.h"

#define POLL_BUDGET 64
#define CHECK_MS 5000
#define WAITING_MAX 1024      /* packets that wait for the device's ring, before we drop */
#define FRAME_MAX_BYTES 65535 /* what a pbuf's length can say */

struct waiting {
    struct waiting *next;
    struct netdev_tx packet;
};

struct device {
    struct netif netif;
    struct netdev *dev;
    struct device *next;
    bool needs_kick;
    atomic_bool link_changed;
    bool was_broken;
    struct waiting *first_waiting, *last_waiting;
    unsigned nr_waiting;
    unsigned nr_in_flight; /* the device has them */
    uint64_t rx_dropped, tx_dropped, polls;
    uint64_t seen; /* of its doing, when check_all looked last */
};

static struct device *devices;

/* --- Sending ---------------------------------------------------------------------------------- */

static void drop(struct device *d, void *cookie)
{
    d->tx_dropped++;
    pbuf_free(cookie);
}

static err_t wait_for_room(struct device *d, const struct netdev_tx *packet)
{
    struct waiting *w = NULL;

    if (d->nr_waiting < WAITING_MAX)
        w = net_memory_alloc(sizeof(*w));
    if (!w) {
        drop(d, packet->cookie);
        return ERR_MEM;
    }
    w->packet = *packet;
    w->next = NULL;
    if (d->last_waiting)
        d->last_waiting->next = w;
    else
        d->first_waiting = w;
    d->last_waiting = w;
    d->nr_waiting++;
    return ERR_OK;
}

static int hand_over(struct device *d, const struct netdev_tx *packet)
{
    int error = d->dev->ops->transmit(d->dev, packet);

    if (!error)
        d->nr_in_flight++;
    return error;
}

/* Hands a packet to the device, which has its cookie from then on. */
static err_t transmit(struct device *d, const struct netdev_tx *packet)
{
    if (d->first_waiting)
        return wait_for_room(d, packet);
    int error = hand_over(d, packet);
    if (error == -EAGAIN)
        return wait_for_room(d, packet);
    if (error) {
        drop(d, packet->cookie);
        return ERR_IF;
    }
    d->needs_kick = true;
    return ERR_OK;
}

static void transmit_waiting(struct device *d)
{
    struct waiting *w;

    while ((w = d->first_waiting)) {
        int error = hand_over(d, &w->packet);
        if (error == -EAGAIN)
            return;
        if (error)
            drop(d, w->packet.cookie);
        else
            d->needs_kick = true;
        d->first_waiting = w->next;
        if (!w->next)
            d->last_waiting = NULL;
        d->nr_waiting--;
        net_memory_free(w);
    }
}

/* -E2BIG: too many fragments. */
static int add_fragments(struct netdev_tx *packet, const struct pbuf *p)
{
    unsigned count = 0;

    for (; p; p = p->next) {
        if (p->len == 0)
            continue;
        if (count == NETDEV_MAX_FRAGMENTS)
            return -E2BIG;
        packet->fragments[count].data = p->payload;
        packet->fragments[count].bytes = p->len;
        count++;
    }
    packet->nr_fragments = count;
    return 0;
}

/* Whether the driver may write before the packet: lwIP has left room, and nobody else has it. */
static bool has_headroom(const struct pbuf *p)
{
    return p->ref == 1 && (p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) &&
           (size_t)((const char *)p->payload - (const char *)(p + 1)) >= NETDEV_HEADROOM;
}

/* What the device is to do for a packet of TCP or UDP: to complete its checksum, and to cut one
 * that is larger than its connection's segments. */
static void offload(const struct packet *packet, const struct pbuf *p, struct netdev_tx *tx)
{
    tx->checksum_start = packet->layer4_start;
    tx->checksum_offset = packet_prepare_checksum(packet, packet->bytes - packet->layer4_start);
    if (p->segment_bytes && packet->protocol == IP_PROTO_TCP &&
        packet->bytes - packet->payload_start > p->segment_bytes) {
        tx->segment_bytes = p->segment_bytes;
        tx->header_bytes = packet->payload_start;
        tx->is_ipv6 = packet->is_ipv6;
    }
}

static err_t send_packet(struct device *d, struct pbuf *p)
{
    struct packet packet;
    struct netdev_tx tx; /* not all of its fragments */

    if (add_fragments(&tx, p)) { /* a chain of crumbs */
        struct pbuf *whole = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, p);
        if (!whole)
            return ERR_MEM;
        whole->segment_bytes = p->segment_bytes;
        err_t error = send_packet(d, whole);
        pbuf_free(whole);
        return error;
    }
    tx.cookie = p;
    tx.has_headroom = has_headroom(p);
    tx.checksum_start = tx.checksum_offset = tx.segment_bytes = tx.header_bytes = 0;
    tx.is_ipv6 = false;
    if (d->dev->features & NETDEV_TX_CHECKSUM) {
        packet_parse(p, &packet);
        if (packet.protocol)
            offload(&packet, p, &tx);
    }
    pbuf_ref(p);
    return transmit(d, &tx);
}

static err_t link_output(struct netif *netif, struct pbuf *p)
{
    struct device *d = netif->state;

    return d->dev->is_broken ? ERR_IF : send_packet(d, p);
}

static void on_transmitted(struct netdev *dev, void *cookie)
{
    struct device *d = dev->stack_data;

    d->nr_in_flight--;
    pbuf_free(cookie);
}

/* --- Receiving -------------------------------------------------------------------------------- */

/* In a received buffer's `stack`. */
struct received {
    struct pbuf_custom pbuf;
    struct netdev *dev;
};
_Static_assert(sizeof(struct received) <= NETDEV_STACK_BYTES, "what we keep in a received buffer");

/* Of the devices' buffers as many may wait for readers as make up this share of memory. */
#define HELD_SHARE 32
#define HELD_BYTES 2048 /* what one takes, about */

static unsigned held; /* buffers that are not back yet */

static void free_received(struct pbuf *p)
{
    struct received *r = (struct received *)p;

    held--;
    r->dev->ops->free_buffer(
        r->dev, (struct netdev_buffer *)((char *)r - offsetof(struct netdev_buffer, stack)));
}

static void free_buffers(struct netdev *dev, struct netdev_buffer *b)
{
    while (b) {
        struct netdev_buffer *next = b->next;
        dev->ops->free_buffer(dev, b);
        b = next;
    }
}

/* The buffers of a packet as lwIP's, in a row. */
static struct pbuf *wrap(struct netdev *dev, const struct netdev_rx *packet)
{
    struct pbuf *first = NULL, **link = &first;
    size_t left = packet->bytes;

    for (struct netdev_buffer *b = packet->first; b; b = b->next) {
        struct received *r = (struct received *)b->stack;

        held++;
        r->dev = dev;
        r->pbuf.custom_free_function = free_received;
        struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)b->bytes, PBUF_REF, &r->pbuf, b->data,
                                             (u16_t)b->bytes);
        p->tot_len = (u16_t)left;
        left -= b->bytes;
        *link = p;
        link = &p->next;
    }
    return first;
}

struct pbuf *net_device_settle(struct pbuf *p)
{
    if (held < pv_boot.nr_pages * PAGE_SIZE / HELD_SHARE / HELD_BYTES)
        return p;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    if (!copy)
        return p;
    pbuf_free(p);
    return copy;
}

/* A checksum that the device verified is not computed again; it knows nothing of fragments. */
static u16_t checks_to_do(const struct netif *netif, bool is_good, const struct packet *packet)
{
    const u16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;

    return is_good && packet->protocol ? netif->chksum_flags & (u16_t)~checks
                                       : netif->chksum_flags | checks;
}

static void on_receive(struct netdev *dev, const struct netdev_rx *packet)
{
    struct device *d = dev->stack_data;

    if (packet->bytes < SIZEOF_ETH_HDR || packet->bytes > FRAME_MAX_BYTES ||
        packet->first->bytes < SIZEOF_ETH_HDR) {
        d->rx_dropped++;
        free_buffers(dev, packet->first);
        return;
    }
    struct pbuf *p = wrap(dev, packet);
    struct packet parsed;
    packet_parse(p, &parsed);
    NETIF_SET_CHECKSUM_CTRL(&d->netif, checks_to_do(&d->netif, packet->checksum_is_good, &parsed));
    connections_input(&d->netif, p, &parsed);
}

/* --- Events ----------------------------------------------------------------------------------- */

static void on_wake(struct netdev *dev)
{
    (void)dev;
    net_wake();
}

static void on_link_changed(struct netdev *dev)
{
    struct device *d = dev->stack_data;

    atomic_store(&d->link_changed, true);
    net_wake();
}

static void follow_link(struct device *d)
{
    bool is_up = d->dev->link_is_up && !d->dev->is_broken;

    if (d->dev->is_broken && !d->was_broken) {
        d->was_broken = true;
        d->dev->ops->poll(d->dev, POLL_BUDGET); /* what it never sent comes back */
        log_error("%s: the device is broken: no network there", d->dev->name);
    }
    if (is_up == !!netif_is_link_up(&d->netif))
        return;
    log_info("%s: link %s", d->dev->name, is_up ? "up" : "down");
    if (is_up)
        netif_set_link_up(&d->netif);
    else
        netif_set_link_down(&d->netif);
}

unsigned net_device_poll(void)
{
    unsigned count = 0;

    for (struct device *d = devices; d; d = d->next) {
        if (atomic_exchange(&d->link_changed, false))
            follow_link(d);
        if (d->dev->is_broken)
            continue;
        d->polls++;
        count += d->dev->ops->poll(d->dev, POLL_BUDGET);
        transmit_waiting(d);
    }
    return count;
}

void net_device_flush(void)
{
    for (struct device *d = devices; d; d = d->next) {
        if (d->needs_kick) {
            d->needs_kick = false;
            d->dev->ops->kick(d->dev);
        }
    }
}

bool net_device_has_output(void)
{
    for (struct device *d = devices; d; d = d->next) {
        if (d->needs_kick)
            return true;
    }
    return false;
}

bool net_device_is_drained(void)
{
    for (struct device *d = devices; d; d = d->next) {
        if (!d->dev->is_broken && (d->first_waiting || d->nr_in_flight))
            return false;
    }
    return true;
}

bool net_device_listen(void)
{
    bool quiet = true;

    for (struct device *d = devices; d; d = d->next) {
        if (atomic_load(&d->link_changed) || (!d->dev->is_broken && !d->dev->ops->listen(d->dev)))
            quiet = false;
    }
    return quiet;
}

/* A device that vanished does not say so; one that did something lately is there. */
static void check_all(void *unused)
{
    for (struct device *d = devices; d; d = d->next) {
        uint64_t seen = d->dev->counts.interrupts + d->dev->counts.rx_packets;

        if (seen == d->seen && !d->dev->is_broken)
            d->dev->ops->check(d->dev);
        d->seen = seen;
    }
    sys_timeout(CHECK_MS, check_all, unused);
}

/* --- Life ------------------------------------------------------------------------------------- */

static const struct netdev_stack stack = {
    .wake = on_wake,
    .receive = on_receive,
    .transmitted = on_transmitted,
    .link_changed = on_link_changed,
};

static err_t init_netif(struct netif *netif)
{
    struct device *d = netif->state;
    u16_t checksums = NETIF_CHECKSUM_ENABLE_ALL;

    netif->name[0] = 'e';
    netif->name[1] = 't';
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, d->dev->mac, ETH_HWADDR_LEN);
    netif->mtu = d->dev->mtu_bytes;
    netif->mtu6 = d->dev->mtu_bytes;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    if (d->dev->link_is_up)
        netif->flags |= NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = link_output;
    if (d->dev->features & NETDEV_TX_CHECKSUM)
        checksums &= (u16_t) ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP);
    NETIF_SET_CHECKSUM_CTRL(netif, checksums);
    return ERR_OK;
}

static int add(struct netdev *dev, struct device **link)
{
    struct device *d = net_memory_alloc_zeroed(1, sizeof(*d));

    if (!d)
        return -ENOMEM;
    d->dev = dev;
    netif_add(&d->netif, NULL, NULL, NULL, d, init_netif, ethernet_input);
    if (!devices)
        sys_timeout(CHECK_MS, check_all, NULL);
    *link = d;
    netdev_attach(dev, &stack, d);
    return 0;
}

int net_device_init(void)
{
    struct device **link = &devices;

    while (*link)
        link = &(*link)->next;
    for (struct netdev *dev = netdev_first(); dev; dev = netdev_next(dev)) {
        if (dev->stack)
            continue;
        int error = add(dev, link);
        if (error)
            return error;
        link = &(*link)->next;
    }
    return 0;
}

bool net_device_cuts(const struct netif *netif, bool is_ipv6)
{
    const struct device *d = netif->state;

    return netif->linkoutput == link_output &&
           (d->dev->features & (is_ipv6 ? NETDEV_TX_TSO6 : NETDEV_TX_TSO4));
}

struct netif *net_device_netif(const char *name)
{
    for (struct device *d = devices; d; d = d->next) {
        if (strcmp(d->dev->name, name) == 0)
            return &d->netif;
    }
    return NULL;
}

bool net_device_describe(const struct netif *netif, struct net_interface *out)
{
    for (const struct device *d = devices; d; d = d->next) {
        if (&d->netif != netif)
            continue;
        strcpy(out->name, d->dev->name);
        out->is_broken = d->dev->is_broken;
        out->counts.rx_packets = d->dev->counts.rx_packets;
        out->counts.rx_bytes = d->dev->counts.rx_bytes;
        out->counts.rx_dropped = d->dev->counts.rx_dropped + d->rx_dropped;
        out->counts.tx_packets = d->dev->counts.tx_packets;
        out->counts.tx_bytes = d->dev->counts.tx_bytes;
        out->counts.tx_dropped = d->tx_dropped;
        out->counts.interrupts = d->dev->counts.interrupts;
        out->counts.kicks = d->dev->counts.kicks;
        out->counts.polls = d->polls;
        return true;
    }
    return false;
}
