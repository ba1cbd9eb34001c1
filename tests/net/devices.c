/*
 * The stack over devices: two pairs, each with a wire, plain and with every offload. The command
 * line that tests/host/net.py gives names the addresses.
 *
 * Both ends belong to this one stack. A socket bound to one end's interface, that connects to the
 * other end's address, talks over the wire.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/thread.h"
#include "net/core.h"
#include "net/device.h"
#include "net/interface.h"
#include "net/net.h"
#include "tests/guest/test.h"
#include "tests/net/wire.h"

#define LONG_WAIT_MS 300000
#define ALL_FEATURES (NETDEV_TX_CHECKSUM | NETDEV_TX_TSO4 | NETDEV_TX_TSO6 | NETDEV_RX_CHECKSUM)

static const struct wire_options plain = {.buffer_bytes = 2048, .ring = 32, .seed = 11};
static const struct wire_options offloads = {
    .features = ALL_FEATURES, .buffer_bytes = 1500, .ring = 32, .seed = 12};

static struct wire *plain_wire, *offload_wire;

static void plug_in(void)
{
    if (plain_wire)
        return;
    plain_wire = wire_new(&plain);
    offload_wire = wire_new(&offloads);
    net_lock();
    CHECK_OK(net_device_init());
    interface_configure();
    net_unlock();
}

/* The interface of a device, by its name. */
static unsigned number_of(const struct netdev *dev, struct net_interface *out)
{
    for (unsigned n = 0; net_interface(n, out) == 0; n++) {
        if (strcmp(out->name, dev->name) == 0)
            return out->number;
    }
    return 0;
}

/* The address of one family that an end has; waits for it. */
static bool address_of(const struct netdev *dev, enum net_family family, struct net_address *out)
{
    struct net_interface i;

    for (unsigned tries = 0; tries < 600; tries++) {
        CHECK_NE(number_of(dev, &i), 0);
        for (unsigned n = 0; n < i.nr_addresses; n++) {
            if (i.addresses[n].address.family == family) {
                *out = i.addresses[n].address;
                return true;
            }
        }
        sleep_ms(100);
    }
    FAIL("%s has no address", dev->name);
    return false;
}

struct flow {
    struct net_socket *client, *server;
};

/* A connection from end 0 to end 1. */
static bool connect_over(struct wire *w, enum net_family family, struct flow *flow)
{
    struct net_interface i;
    struct net_address to;
    struct net_socket *listener;

    if (!address_of(wire_end(w, 1), family, &to))
        return false;
    to.interface = 0;
    if (!CHECK_OK(net_socket_open(family, NET_STREAM, 0, &listener)) ||
        !CHECK_OK(net_socket_set_option(listener, NET_OPTION_INTERFACE,
                                        (int)number_of(wire_end(w, 1), &i))))
        return false;
    struct net_address any = {.family = family};
    if (!CHECK_OK(net_socket_bind(listener, &any)) || !CHECK_OK(net_socket_listen(listener, 8)) ||
        !CHECK_OK(net_socket_name(listener, &any)))
        return false;
    to.port = any.port;
    if (!CHECK_OK(net_socket_open(family, NET_STREAM, 0, &flow->client)) ||
        !CHECK_OK(net_socket_set_option(flow->client, NET_OPTION_INTERFACE,
                                        (int)number_of(wire_end(w, 0), &i))) ||
        !CHECK_OK(net_socket_connect(flow->client, &to, ms_from_now(LONG_WAIT_MS))) ||
        !CHECK_OK(net_socket_accept(listener, ms_from_now(LONG_WAIT_MS), &flow->server, NULL)))
        return false;
    net_socket_close(listener);
    return true;
}

struct transfer {
    struct net_socket *socket;
    size_t bytes;
    uint64_t seed;
    bool hesitates; /* who receives: so that the window closes now and then */
};

static void *sender(void *arg)
{
    const struct transfer *t = arg;
    struct random r = RANDOM(t->seed), sizes = RANDOM(t->seed + 1);
    char *block = malloc(30000);
    uint32_t word = 0;

    for (size_t sent = 0; sent < t->bytes && !test_has_failed();) {
        size_t bytes = 1 + random_below(&sizes, 30000);
        if (bytes > t->bytes - sent)
            bytes = t->bytes - sent;
        for (size_t i = 0; i < bytes; i++) {
            if ((sent + i) % 4 == 0)
                word = random_next(&r);
            block[i] = (char)(word >> (sent + i) % 4 * 8);
        }
        struct net_span span = {block, bytes};
        if (!CHECK_EQ(net_socket_send(t->socket, &span, 1, 0, NULL, ms_from_now(LONG_WAIT_MS)),
                      bytes))
            break;
        sent += bytes;
    }
    net_socket_shutdown(t->socket, false, true);
    free(block);
    return NULL;
}

#define BLOCK_BYTES 40000
#define HESITATION_MS 60

static void *receiver(void *arg)
{
    const struct transfer *t = arg;
    struct random r = RANDOM(t->seed), steps = RANDOM(t->seed);
    unsigned char *block = malloc(BLOCK_BYTES);
    size_t total = 0;
    uint32_t word = 0;

    for (;;) {
        struct net_span span = {block, BLOCK_BYTES};
        if (t->hesitates) {
            span.bytes = 1 + random_below(&steps, BLOCK_BYTES);
            sleep_ms(random_below(&steps, 2) * random_below(&steps, HESITATION_MS));
        }
        long got = net_socket_receive(t->socket, &span, 1, 0, NULL, ms_from_now(LONG_WAIT_MS));
        if (got <= 0) {
            CHECK_EQ(got, 0);
            break;
        }
        for (long i = 0; i < got && !test_has_failed(); i++, total++) {
            if (total % 4 == 0)
                word = random_next(&r);
            if (block[i] != (unsigned char)(word >> total % 4 * 8))
                FAIL("byte %zu is wrong", total);
        }
    }
    CHECK_EQ(total, t->bytes);
    free(block);
    return NULL;
}

/* Both ways at once. */
static void transfer_to(struct wire *w, enum net_family family, size_t bytes, bool hesitates)
{
    struct flow flow;
    struct thread *threads[4];

    REQUIRE(connect_over(w, family, &flow));
    struct transfer there = {flow.client, bytes, 5, false},
                    here = {flow.server, bytes, 5, hesitates};
    struct transfer back = {flow.server, bytes, 6, false},
                    home = {flow.client, bytes, 6, hesitates};
    REQUIRE_OK(thread_create(&threads[0], NULL, sender, &there));
    REQUIRE_OK(thread_create(&threads[1], NULL, receiver, &here));
    REQUIRE_OK(thread_create(&threads[2], NULL, sender, &back));
    REQUIRE_OK(thread_create(&threads[3], NULL, receiver, &home));
    for (int i = 0; i < 4; i++)
        thread_join(threads[i], NULL);
    net_socket_close(flow.client);
    net_socket_close(flow.server);
}

static void transfer(struct wire *w, enum net_family family, size_t bytes)
{
    transfer_to(w, family, bytes, false);
}

/* What no device may see, and what all must get back. */
static void check_wire(struct wire *w, bool corrupts)
{
    struct wire_counts c;

    for (unsigned tries = 0;; tries++) {
        wire_counts(w, &c);
        if (c.buffers_out == 0 || tries == 600)
            break;
        sleep_ms(100); /* the last acknowledgement is still to be processed */
    }
    CHECK_EQ(c.buffers_out, 0);
    CHECK_EQ(c.bad_frames, 0);
    if (!corrupts)
        CHECK_EQ(c.bad_checksums, 0);
    log_info("wire: %u frames, %u kicks, %u large, %u full, %u lost, %u corrupted, %u duplicated, "
             "%u reordered",
             c.frames, c.kicks, c.large, c.full, c.lost, c.corrupted, c.duplicated, c.reordered);
}

TEST(device_plain, "Megabytes over a device without offloads; every checksum and length is right.")
{
    plug_in();
    transfer(plain_wire, NET_IPV4, 1 << 20);
    transfer(plain_wire, NET_IPV6, 1 << 20);
    check_wire(plain_wire, false);
}

TEST(device_offloads, "Megabytes over a device that completes checksums and cuts large packets.")
{
    struct wire_counts c;

    plug_in();
    transfer(offload_wire, NET_IPV4, 4 << 20);
    transfer(offload_wire, NET_IPV6, 4 << 20);
    check_wire(offload_wire, false);
    wire_counts(offload_wire, &c);
    CHECK_LT(200, c.large);
}

TEST(device_merges, "Large packets that arrive whole, in many buffers, are taken as they come.")
{
    struct wire_options merging = offloads;

    plug_in();
    merging.merges = true;
    wire_set(offload_wire, &merging);
    transfer(offload_wire, NET_IPV4, 4 << 20);
    transfer(offload_wire, NET_IPV6, 4 << 20);
    check_wire(offload_wire, false);
    wire_set(offload_wire, &offloads);
}

TEST(device_windows, "Large packets are cut where a reader that hesitates closes its window, with "
                     "losses and without.")
{
    struct wire_options bad = offloads;
    struct wire_counts before, after;

    plug_in();
    wire_counts(offload_wire, &before);
    transfer_to(offload_wire, NET_IPV4, (size_t)scaled(2 << 20), true);
    bad.lost = bad.reordered = 300;
    wire_set(offload_wire, &bad);
    transfer_to(offload_wire, NET_IPV4, (size_t)scaled(512 << 10), true);
    wire_set(offload_wire, &offloads);
    check_wire(offload_wire, false);
    wire_counts(offload_wire, &after);
    CHECK_LT(before.large + 20, after.large);
}

TEST(device_bad_wire,
     "A wire that loses, corrupts, duplicates and reorders frames changes no byte.")
{
    struct wire_options bad = plain, bad_offloads = offloads;

    plug_in();
    bad.lost = 100;
    bad.corrupted = 100;
    bad.duplicated = 100;
    bad.reordered = 500;
    bad_offloads.lost = bad_offloads.corrupted = bad_offloads.duplicated = 50;
    bad_offloads.reordered = 300;
    wire_set(plain_wire, &bad);
    wire_set(offload_wire, &bad_offloads);
    transfer(plain_wire, NET_IPV4, (size_t)scaled(256 << 10));
    transfer(offload_wire, NET_IPV6, (size_t)scaled(256 << 10));
    transfer(offload_wire, NET_IPV4, (size_t)scaled(1 << 20));
    check_wire(plain_wire, true);
    check_wire(offload_wire, true);
    wire_set(plain_wire, &plain);
    wire_set(offload_wire, &offloads);
}

static void datagram_over(struct wire *w, enum net_family family, size_t bytes)
{
    struct net_interface i;
    struct net_address to, any = {.family = family};
    struct net_socket *from, *at;
    struct random r = RANDOM(bytes);
    char *out = malloc(bytes), *in = malloc(bytes);
    struct net_span out_span = {out, bytes}, in_span = {in, bytes};

    for (size_t n = 0; n < bytes; n++)
        out[n] = (char)random_next(&r);
    REQUIRE(address_of(wire_end(w, 1), family, &to));
    to.interface = 0;
    REQUIRE_OK(net_socket_open(family, NET_DATAGRAM, 0, &at));
    REQUIRE_OK(net_socket_bind(at, &any));
    REQUIRE_OK(net_socket_name(at, &any));
    to.port = any.port;
    REQUIRE_OK(net_socket_open(family, NET_DATAGRAM, 0, &from));
    REQUIRE_OK(
        net_socket_set_option(from, NET_OPTION_INTERFACE, (int)number_of(wire_end(w, 0), &i)));
    CHECK_EQ(net_socket_send(from, &out_span, 1, 0, &to, 0), bytes);
    CHECK_EQ(net_socket_receive(at, &in_span, 1, 0, NULL, ms_from_now(LONG_WAIT_MS)), bytes);
    CHECK_EQ(memcmp(in, out, bytes), 0);
    net_socket_close(from);
    net_socket_close(at);
    free(in);
    free(out);
}

#define UNREAD_DATAGRAMS 3000

TEST(device_slow_reader, "Packets that nobody reads do not keep a device's buffers.")
{
    struct net_interface i;
    struct net_address to, any = {.family = NET_IPV4};
    struct net_socket *from, *at;
    struct wire_counts c;
    char out[100], in[100];
    struct net_span out_span = {out, sizeof(out)}, in_span = {in, sizeof(in)};
    unsigned got = 0;

    plug_in();
    REQUIRE(address_of(wire_end(offload_wire, 1), NET_IPV4, &to));
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_DATAGRAM, 0, &at));
    REQUIRE_OK(net_socket_set_option(at, NET_OPTION_RECEIVE_BUFFER, 16 << 20));
    REQUIRE_OK(net_socket_bind(at, &any));
    REQUIRE_OK(net_socket_name(at, &any));
    to.port = any.port;
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_DATAGRAM, 0, &from));
    REQUIRE_OK(net_socket_set_option(from, NET_OPTION_INTERFACE,
                                     (int)number_of(wire_end(offload_wire, 0), &i)));
    for (unsigned n = 0; n < UNREAD_DATAGRAMS; n++) {
        memset(out, (int)n, sizeof(out));
        CHECK_EQ(net_socket_send(from, &out_span, 1, 0, &to, 0), sizeof(out));
        if (n % 16 == 0)
            settle();
    }
    settle();
    wire_counts(offload_wire, &c);
    CHECK_LT(c.buffers_out, UNREAD_DATAGRAMS / 2); /* 1024 of 64 MiB */
    while (net_socket_receive(at, &in_span, 1, 0, NULL, 0) == sizeof(in))
        got++;
    CHECK_EQ(got, UNREAD_DATAGRAMS);
    net_socket_close(from);
    net_socket_close(at);
    check_wire(offload_wire, false);
}

TEST(device_fragments, "Datagrams of every size go over the wire, in fragments where they must.")
{
    static const size_t sizes[] = {1, 1452, 1453, 1472, 1473, 9000, 60000};

    plug_in();
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        datagram_over(plain_wire, NET_IPV4, sizes[i]);
        datagram_over(plain_wire, NET_IPV6, sizes[i]);
        datagram_over(offload_wire, NET_IPV4, sizes[i]);
        datagram_over(offload_wire, NET_IPV6, sizes[i]);
    }
    check_wire(plain_wire, false);
    check_wire(offload_wire, false);
}
