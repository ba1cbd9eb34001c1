/*
 * Two devices and a wire, see wire.h.
 *
 * Everything runs under the stack's lock, which is held while a device's operations are called.
 */
#include "tests/net/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/test.h"

#define MTU 1500
#define ETHERNET 14
#define FRAME_MAX 65535
#define RING_MAX 64
#define QUEUE_MAX 256

struct frame {
    struct frame *next;
    size_t bytes;
    bool is_good; /* the checksum need not be verified */
    uint8_t data[];
};

struct end {
    struct netdev dev;
    struct wire *wire;
    struct end *peer;
    struct netdev_tx ring[RING_MAX]; /* queued, not kicked */
    unsigned nr_ring;
    void *done[RING_MAX]; /* sent, not reported */
    unsigned nr_done;
    struct frame *first, **last; /* arrived */
    unsigned nr_queued;
    bool listening;
};

struct wire {
    struct end ends[2];
    struct wire_options options;
    struct random random;
    struct wire_counts counts;
};

static uint32_t sum(const uint8_t *data, size_t bytes, uint32_t total)
{
    for (size_t i = 0; i < bytes; i++)
        total += (uint32_t)data[i] << (i % 2 ? 0 : 8);
    return total;
}

static uint16_t fold(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)total;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static bool is_ipv6(const uint8_t *frame)
{
    return get16(frame + 12) == 0x86dd;
}

/* Whether a TCP or UDP checksum in a whole frame holds (true for anything else). */
static bool checksum_holds(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + ETHERNET;
    uint32_t total;
    size_t start, length;
    unsigned protocol;

    if (get16(frame + 12) == 0x0800) {
        if (get16(ip + 6) & 0x3fff) /* a fragment */
            return true;
        protocol = ip[9];
        start = ETHERNET + (ip[0] & 15) * 4u;
        length = get16(ip + 2) - (ip[0] & 15) * 4u;
        if (fold(sum(ip, (ip[0] & 15) * 4u, 0)) != 0xffff)
            return false;
        total = sum(ip + 12, 8, 0);
    } else if (is_ipv6(frame)) {
        protocol = ip[6];
        start = ETHERNET + 40;
        length = get16(ip + 4);
        total = sum(ip + 8, 32, 0);
    } else {
        return true;
    }
    if (protocol != 6 && protocol != 17)
        return true;
    if (start + length > bytes)
        return false;
    if (protocol == 17 && !is_ipv6(frame) && get16(frame + start + 6) == 0)
        return true;
    return fold(sum(frame + start, length, total + protocol + (uint32_t)length)) == 0xffff;
}

static void arrive(struct end *to, struct frame *f)
{
    struct wire *w = to->wire;

    if (to->nr_queued == QUEUE_MAX) {
        free(f);
        return;
    }
    f->next = NULL;
    if (random_below(&w->random, 10000) < w->options.reordered && to->first) { /* ahead of all */
        w->counts.reordered++;
        f->next = to->first;
        to->first = f;
    } else {
        *to->last = f;
        to->last = &f->next;
    }
    to->nr_queued++;
}

static struct frame *copy(const uint8_t *data, size_t bytes, bool is_good)
{
    struct frame *f = malloc(sizeof(*f) + bytes);

    f->bytes = bytes;
    f->is_good = is_good;
    memcpy(f->data, data, bytes);
    return f;
}

/* One frame on the wire. */
static void carry(struct end *from, const uint8_t *data, size_t bytes, bool is_good)
{
    struct wire *w = from->wire;

    w->counts.frames++;
    if (!is_good && !checksum_holds(data, bytes))
        w->counts.bad_checksums++;
    if (random_below(&w->random, 10000) < w->options.lost) {
        w->counts.lost++;
        return;
    }
    struct frame *f = copy(data, bytes, is_good);
    if (random_below(&w->random, 10000) < w->options.corrupted) {
        w->counts.corrupted++;
        f->data[random_below(&w->random, (uint32_t)bytes)] ^=
            (uint8_t)(1 << random_below(&w->random, 8));
        f->is_good = false;
    }
    if (random_below(&w->random, 10000) < w->options.duplicated) {
        w->counts.duplicated++;
        arrive(from->peer, copy(f->data, f->bytes, f->is_good));
    }
    arrive(from->peer, f);
}

/* Cuts a large packet as the stack asked (TSO). */
static void cut(struct end *from, uint8_t *data, size_t bytes, const struct netdev_tx *tx)
{
    static uint8_t piece[ETHERNET + MTU];
    size_t payload = bytes - tx->header_bytes;
    size_t tcp = tx->checksum_start;
    uint32_t sequence = (uint32_t)get16(data + tcp + 4) << 16 | get16(data + tcp + 6);

    for (size_t at = 0; at < payload; at += tx->segment_bytes) {
        size_t part = payload - at < tx->segment_bytes ? payload - at : tx->segment_bytes;
        uint8_t *ip = piece + ETHERNET;

        memcpy(piece, data, tx->header_bytes);
        memcpy(piece + tx->header_bytes, data + tx->header_bytes + at, part);
        put16(piece + tcp + 4, (sequence + (uint32_t)at) >> 16);
        put16(piece + tcp + 6, (sequence + (uint32_t)at) & 0xffff);
        if (at + part < payload)
            piece[tcp + 13] &= (uint8_t)~0x09; /* FIN, PSH: of the last only */
        size_t length = tx->header_bytes - tcp + part;
        uint32_t total;
        if (tx->is_ipv6) {
            put16(ip + 4, (unsigned)length);
            total = sum(ip + 8, 32, 0);
        } else {
            put16(ip + 2, (unsigned)(tcp - ETHERNET + length));
            put16(ip + 10, 0);
            put16(ip + 10, (uint16_t)~fold(sum(ip, tcp - ETHERNET, 0)));
            total = sum(ip + 12, 8, 0);
        }
        put16(piece + tcp + 16, 0);
        put16(piece + tcp + 16,
              (uint16_t)~fold(sum(piece + tcp, length, total + 6 + (uint32_t)length)));
        carry(from, piece, tx->header_bytes + part, false);
    }
}

static void send_one(struct end *from, const struct netdev_tx *tx)
{
    static uint8_t data[FRAME_MAX];
    struct wire *w = from->wire;
    size_t bytes = 0;

    for (unsigned i = 0; i < tx->nr_fragments; i++) {
        if (bytes + tx->fragments[i].bytes > sizeof(data)) {
            w->counts.bad_frames++;
            return;
        }
        memcpy(data + bytes, tx->fragments[i].data, tx->fragments[i].bytes);
        bytes += tx->fragments[i].bytes;
    }
    if (tx->segment_bytes)
        w->counts.large++;
    if (bytes < ETHERNET || (!tx->segment_bytes && bytes > ETHERNET + MTU) ||
        (tx->segment_bytes && tx->header_bytes + tx->segment_bytes > ETHERNET + MTU)) {
        w->counts.bad_frames++;
        return;
    }
    if (tx->segment_bytes && !w->options.merges) {
        cut(from, data, bytes, tx);
        return;
    }
    if (tx->checksum_start) { /* complete it */
        size_t field = tx->checksum_start + (size_t)tx->checksum_offset;
        uint16_t total =
            (uint16_t)~fold(sum(data + tx->checksum_start, bytes - tx->checksum_start, 0));
        put16(data + field, total ? total : 0xffff);
    }
    /* A large packet that is never cut was never on a wire: but its checksum must be right, too. */
    if (!checksum_holds(data, bytes))
        w->counts.bad_checksums++;
    carry(from, data, bytes, from->dev.features & NETDEV_RX_CHECKSUM);
}

static int op_transmit(struct netdev *dev, const struct netdev_tx *packet)
{
    struct end *e = (struct end *)dev;

    if (e->nr_ring + e->nr_done >= e->wire->options.ring) {
        e->wire->counts.full++;
        return -EAGAIN;
    }
    e->ring[e->nr_ring++] = *packet;
    dev->counts.tx_packets++;
    return 0;
}

static void op_kick(struct netdev *dev)
{
    struct end *e = (struct end *)dev;

    e->wire->counts.kicks++;
    dev->counts.kicks++;
    for (unsigned i = 0; i < e->nr_ring; i++) {
        send_one(e, &e->ring[i]);
        e->done[e->nr_done++] = e->ring[i].cookie;
    }
    e->nr_ring = 0;
    for (unsigned i = 0; i < 2; i++) { /* frames arrived there, reports are due here */
        struct end *other = &e->wire->ends[i];
        if (other->listening) {
            other->listening = false;
            other->dev.stack->wake(&other->dev);
        }
    }
}

static void op_free_buffer(struct netdev *dev, struct netdev_buffer *buffer)
{
    struct end *e = (struct end *)dev;

    e->wire->counts.buffers_out--;
    free(buffer);
}

static void hand_up(struct end *e, struct frame *f)
{
    struct netdev_rx rx = {.bytes = f->bytes, .checksum_is_good = f->is_good};
    struct netdev_buffer **link = &rx.first;
    size_t each = e->wire->options.buffer_bytes;

    for (size_t at = 0; at < f->bytes; at += each) {
        size_t part = f->bytes - at < each ? f->bytes - at : each;
        struct netdev_buffer *b = malloc(sizeof(*b) + part);
        b->next = NULL;
        b->data = b + 1;
        b->bytes = (uint32_t)part;
        memcpy(b->data, f->data + at, part);
        *link = b;
        link = &b->next;
        e->wire->counts.buffers_out++;
    }
    free(f);
    e->dev.counts.rx_packets++;
    e->dev.stack->receive(&e->dev, &rx);
}

static unsigned op_poll(struct netdev *dev, unsigned budget)
{
    struct end *e = (struct end *)dev;
    unsigned count = 0;

    for (unsigned i = 0; i < e->nr_done; i++)
        dev->stack->transmitted(dev, e->done[i]);
    e->nr_done = 0;
    for (; count < budget && e->first; count++) {
        struct frame *f = e->first;
        e->first = f->next;
        if (!e->first)
            e->last = &e->first;
        e->nr_queued--;
        hand_up(e, f);
    }
    return count;
}

static bool op_listen(struct netdev *dev)
{
    struct end *e = (struct end *)dev;

    e->listening = !e->first && !e->nr_done;
    return e->listening;
}

static void op_check(struct netdev *dev)
{
    (void)dev;
}

static const struct netdev_ops ops = {op_transmit, op_kick,        op_poll,
                                      op_listen,   op_free_buffer, op_check};

struct wire *wire_new(const struct wire_options *options)
{
    static uint8_t number;
    struct wire *w = calloc(1, sizeof(*w));

    w->options = *options;
    w->random = (struct random)RANDOM(options->seed);
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &w->ends[i];
        e->wire = w;
        e->peer = &w->ends[1 - i];
        e->last = &e->first;
        e->dev.ops = &ops;
        e->dev.mtu_bytes = MTU;
        e->dev.features = options->features;
        e->dev.link_is_up = true;
        memcpy(e->dev.mac, (uint8_t[]){2, 0, 0, 0, 0, ++number}, 6);
        netdev_register(&e->dev);
    }
    return w;
}

void wire_set(struct wire *w, const struct wire_options *options)
{
    w->options = *options;
}

void wire_counts(const struct wire *w, struct wire_counts *out)
{
    *out = w->counts;
}

struct netdev *wire_end(struct wire *w, unsigned i)
{
    return &w->ends[i].dev;
}
