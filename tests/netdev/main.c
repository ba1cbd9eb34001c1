/*
 * A stack of a few lines on kernel/netdev.h, for tests of network drivers. No lwIP is linked.
 *
 * usage: netdev reflect        does what frames ask for (below) until one says quit
 *        netdev loop COUNT     the wire sends back what it gets: COUNT frames of all sizes
 *        netdev cost           instructions per packet, with --icount, on such a wire
 *
 * A frame of type 0x88b5 (IEEE 802, local experimental) asks by its first bytes, struct request.
 * It comes back with the addresses exchanged. The tests' side is tests/host/netdev.py.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/netdev.h"
#include "kernel/sync.h"
#include "kernel/thread.h"

#define BUDGET 64

struct frame {
    uint8_t to[6], from[6];
    uint8_t type[2]; /* 0x88b5 */
    struct request {
        uint8_t command; /* e: echo; i: describe yourself; q: quit */
        uint8_t nr_fragments;
        uint16_t checksum_start, checksum_offset;
        uint16_t segment_bytes, header_bytes;
        uint8_t is_ipv6;
        uint8_t checksum_was_good; /* in the answer */
    } __attribute__((packed)) request;
    uint8_t data[];
} __attribute__((packed));

static struct netdev *dev;
static struct semaphore wakes = SEMAPHORE_INIT(0);
static atomic_bool link_changed;
static bool quit;
static unsigned sent, reported;

static void on_wake(struct netdev *unused)
{
    (void)unused;
    semaphore_post(&wakes);
}

static void on_link_changed(struct netdev *unused)
{
    (void)unused;
    atomic_store(&link_changed, true);
    semaphore_post(&wakes);
}

static void say_link(void)
{
    printf("netdev: %s link %s%s\n", dev->name, dev->link_is_up ? "up" : "down",
           dev->is_broken ? ", broken" : "");
    fflush(stdout);
}

/* --- Answers --------------------------------------------------------------------------------- */

/* A frame in one piece, alive until it was sent. */
struct copy {
    struct copy *next; /* that waits for room to be sent */
    size_t bytes;
    char frame[];
};

static struct copy *first_waiting, **last_waiting = &first_waiting;

static void on_transmitted(struct netdev *unused, void *cookie)
{
    (void)unused;
    reported++;
    free(cookie);
}

static struct copy *copy_of(const struct netdev_rx *packet)
{
    struct copy *c = malloc(sizeof(*c) + packet->bytes);
    size_t at = 0;

    if (!c)
        return NULL;
    for (const struct netdev_buffer *b = packet->first; b; at += b->bytes, b = b->next)
        memcpy(c->frame + at, b->data, b->bytes);
    c->bytes = at;
    if (at != packet->bytes)
        printf("netdev: %zu bytes in buffers, %zu announced\n", at, packet->bytes);
    return c;
}

static int transmit(struct copy *c, unsigned nr_fragments, const struct request *as)
{
    struct netdev_tx packet = {.cookie = c, .nr_fragments = nr_fragments ? nr_fragments : 1};
    size_t at = 0;

    if (packet.nr_fragments > NETDEV_MAX_FRAGMENTS || packet.nr_fragments > c->bytes)
        packet.nr_fragments = 1;
    for (unsigned i = 0; i < packet.nr_fragments; i++) {
        size_t end = c->bytes * (i + 1) / packet.nr_fragments;

        packet.fragments[i].data = c->frame + at;
        packet.fragments[i].bytes = end - at;
        at = end;
    }
    if (as) {
        packet.checksum_start = as->checksum_start;
        packet.checksum_offset = as->checksum_offset;
        packet.segment_bytes = as->segment_bytes;
        packet.header_bytes = as->header_bytes;
        packet.is_ipv6 = as->is_ipv6;
    }
    int error = dev->ops->transmit(dev, &packet);

    sent += !error;
    return error;
}

/* The frame's head, then what there is to say of the device. */
static struct copy *describe(struct copy *c)
{
    const size_t room = 200;
    struct copy *text = malloc(sizeof(*text) + sizeof(struct frame) + room);
    struct frame *f = (struct frame *)text->frame;

    memcpy(f, c->frame, sizeof(*f));
    free(c);
    int bytes =
        snprintf((char *)f->data, room, "mtu %u features %u interrupts %" PRIu64 " kicks %" PRIu64,
                 dev->mtu_bytes, dev->features, dev->counts.interrupts, dev->counts.kicks);
    text->bytes = sizeof(*f) + (size_t)bytes;
    return text;
}

static void answer(const struct netdev_rx *packet)
{
    struct copy *c = copy_of(packet);

    if (!c) {
        printf("netdev: no memory for %zu bytes\n", packet->bytes);
        return;
    }
    struct frame *f = (struct frame *)c->frame;

    if (c->bytes < sizeof(*f) || f->type[0] != 0x88 || f->type[1] != 0xb5) {
        free(c);
        return;
    }
    quit = f->request.command == 'q';
    if (f->request.command == 'i')
        c = describe(c);
    f = (struct frame *)c->frame;
    memcpy(f->to, f->from, sizeof(f->to));
    memcpy(f->from, dev->mac, sizeof(f->from));
    f->request.checksum_was_good = packet->checksum_is_good;
    c->next = NULL;
    *last_waiting = c;
    last_waiting = &c->next;
}

static void send_waiting(void)
{
    while (first_waiting) {
        struct copy *c = first_waiting, *next = c->next;
        const struct request *as = &((const struct frame *)c->frame)->request;
        int error = transmit(c, as->nr_fragments, as);

        if (error == -EAGAIN)
            return;
        if (error) {
            printf("netdev: not sent: error %d\n", -error);
            free(c);
        }
        first_waiting = next;
        if (!next)
            last_waiting = &first_waiting;
    }
}

/* --- Reflecting ------------------------------------------------------------------------------ */

static void free_packet(const struct netdev_rx *packet)
{
    for (struct netdev_buffer *b = packet->first, *next; b; b = next) {
        next = b->next;
        dev->ops->free_buffer(dev, b);
    }
}

static void reflect(struct netdev *unused, const struct netdev_rx *packet)
{
    (void)unused;
    answer(packet);
    free_packet(packet);
}

/* Until a frame says quit, or the device is broken. */
static int run(void)
{
    do {
        unsigned count = dev->ops->poll(dev, BUDGET);

        send_waiting();
        dev->ops->kick(dev);
        if (!count && dev->ops->listen(dev))
            semaphore_wait(&wakes);
        if (atomic_exchange(&link_changed, false))
            say_link();
    } while (!quit && !dev->is_broken);
    for (unsigned i = 0; i < 1000 && reported < sent; i++) {
        dev->ops->poll(dev, BUDGET);
        thread_sleep_until(clock_monotonic_ns() + NS_PER_MS);
    }
    printf("netdev: %u sent, %u reported\n", sent, reported);
    return dev->is_broken ? 3 : 0;
}

/* --- A wire that sends back ------------------------------------------------------------------ */

static unsigned received, wrong;
static uint32_t next_size;

/* The n-th frame: its size and contents follow from n. */
static size_t size_of(uint32_t n)
{
    return sizeof(struct frame) + sizeof(n) + n * 7919 % (1500 - sizeof(n) - 14);
}

static uint8_t byte_of(uint32_t n, size_t at)
{
    return (uint8_t)(n * 31 + at * 7 + (at >> 8));
}

static void check(struct netdev *unused, const struct netdev_rx *packet)
{
    struct copy *c = copy_of(packet);
    const struct frame *f = (const struct frame *)c->frame;
    uint32_t n;

    (void)unused;
    free_packet(packet);
    if (c->bytes >= sizeof(*f) && f->type[0] == 0x88 && f->type[1] == 0xb5) {
        memcpy(&n, f->data, sizeof(n));
        bool good = n == next_size && c->bytes == size_of(n);

        for (size_t at = sizeof(*f) + sizeof(n); good && at < c->bytes; at++)
            good = (uint8_t)c->frame[at] == byte_of(n, at);
        wrong += !good;
        next_size = n + 1;
        received++;
    }
    free(c);
}

static int send_nth(uint32_t n)
{
    size_t bytes = size_of(n);
    struct copy *c = malloc(sizeof(*c) + bytes);
    struct frame *f = (struct frame *)c->frame;

    memset(f, 0xff, sizeof(*f));
    memcpy(f->from, dev->mac, sizeof(f->from));
    f->type[0] = 0x88;
    f->type[1] = 0xb5;
    memcpy(f->data, &n, sizeof(n));
    for (size_t at = sizeof(*f) + sizeof(n); at < bytes; at++)
        c->frame[at] = (char)byte_of(n, at);
    c->bytes = bytes;
    int error = transmit(c, n % 4, NULL);
    if (error)
        free(c);
    return error;
}

/* In bursts that the socket behind the wire holds. */
static int loop(unsigned count)
{
    while (received < count) {
        const unsigned end = sent + 16 < count ? sent + 16 : count;

        while (sent < end && send_nth(sent) == 0)
            ;
        dev->ops->kick(dev);
        while (received < sent) {
            if (!dev->ops->poll(dev, BUDGET) && dev->ops->listen(dev) &&
                semaphore_timedwait(&wakes, clock_monotonic_ns() + 20 * NS_PER_SECOND)) {
                printf("netdev: %u of %u frames came back\n", received, sent);
                return 1;
            }
        }
    }
    dev->ops->poll(dev, BUDGET);
    printf("netdev: %u received, %u wrong, %u sent, %u reported\n", received, wrong, sent,
           reported);
    return wrong || reported != sent;
}

/* --- Costs ----------------------------------------------------------------------------------- */

static struct netdev_buffer *kept[256];
static unsigned nr_kept;

static void keep(struct netdev *unused, const struct netdev_rx *packet)
{
    (void)unused;
    kept[nr_kept++] = packet->first;
}

static void count_only(struct netdev *unused, void *cookie)
{
    (void)unused;
    (void)cookie;
    reported++;
}

static const struct netdev_stack meter = {on_wake, keep, count_only, on_link_changed};

/* With --icount an instruction takes a nanosecond, and a device none. */
static uint64_t cost(uint64_t since_ns, unsigned packets)
{
    return (clock_monotonic_ns() - since_ns) / packets;
}

static int measure(void)
{
    enum { PACKETS = 32, ROUNDS = 20 };
    static char data[1514];
    uint64_t add = 0, kick = 0, poll = 0, free = 0, since;
    struct netdev_tx packet = {.nr_fragments = 2,
                               .fragments = {{data, 54}, {data + 54, sizeof(data) - 54}}};

    netdev_attach(dev, &meter, NULL);
    memset(data, 0xff, 6);
    for (unsigned round = 0; round < ROUNDS; round++) {
        since = clock_monotonic_ns();
        for (unsigned i = 0; i < PACKETS; i++)
            dev->ops->transmit(dev, &packet);
        add += cost(since, PACKETS);
        since = clock_monotonic_ns();
        dev->ops->kick(dev);
        kick += cost(since, PACKETS);
        nr_kept = 0;
        /* Virtual time runs ahead of the host's sockets: many naps, not a long one. */
        for (unsigned nap = 0; nap < 1000; nap++)
            thread_sleep_until(clock_monotonic_ns() + NS_PER_MS);
        since = clock_monotonic_ns();
        unsigned count = dev->ops->poll(dev, 2 * PACKETS);
        poll += cost(since, PACKETS);
        if (count != PACKETS) {
            printf("netdev: %u packets of %u came back\n", count, PACKETS);
            return 1;
        }
        since = clock_monotonic_ns();
        for (unsigned i = 0; i < nr_kept; i++)
            dev->ops->free_buffer(dev, kept[i]);
        free += cost(since, PACKETS);
    }
    printf("netdev: instructions per packet: transmit %" PRIu64 ", kick %" PRIu64
           ", poll (reap both, refill) %" PRIu64 ", free %" PRIu64 "\n",
           add / ROUNDS, kick / ROUNDS, poll / ROUNDS, free / ROUNDS);
    return 0;
}

/* --- Start ----------------------------------------------------------------------------------- */

static const struct netdev_stack reflector = {on_wake, reflect, on_transmitted, on_link_changed};
static const struct netdev_stack checker = {on_wake, check, on_transmitted, on_link_changed};

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";

    dev = netdev_first();
    if (!dev) {
        printf("netdev: there is no network device\n");
        return 2;
    }
    printf("netdev: %s %02x:%02x:%02x:%02x:%02x:%02x mtu %u features 0x%x\n", dev->name,
           dev->mac[0], dev->mac[1], dev->mac[2], dev->mac[3], dev->mac[4], dev->mac[5],
           dev->mtu_bytes, dev->features);
    say_link();
    if (strcmp(how, "cost") == 0)
        return measure();
    netdev_attach(dev, strcmp(how, "loop") == 0 ? &checker : &reflector, NULL);
    return strcmp(how, "loop") == 0 ? loop((unsigned)atoi(argv[2])) : run();
}
