/*
 * Sockets over loopback: streams and datagrams, both families, through net/socket.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/thread.h"
#include "net/net.h"
#include "tests/guest/test.h"

#define LONG_WAIT_MS 60000 /* of what comes: generous, as hosts are slow */

static struct net_address loopback(enum net_family family, uint16_t port)
{
    struct net_address a = {.family = family, .port = port};

    if (family == NET_IPV4)
        memcpy(a.address, (uint8_t[]){127, 0, 0, 1}, 4);
    else
        a.address[15] = 1;
    return a;
}

static struct net_span span(void *data, size_t bytes)
{
    return (struct net_span){data, bytes};
}

static long send_all(struct net_socket *s, const void *data, size_t bytes)
{
    struct net_span all = span((void *)data, bytes);

    return net_socket_send(s, &all, 1, 0, NULL, ms_from_now(LONG_WAIT_MS));
}

static long receive_some(struct net_socket *s, void *data, size_t bytes)
{
    struct net_span all = span(data, bytes);

    return net_socket_receive(s, &all, 1, 0, NULL, ms_from_now(LONG_WAIT_MS));
}

/* A connected pair: pair[0] connected, pair[1] accepted. */
static bool make_pair(enum net_family family, struct net_socket *pair[2])
{
    struct net_address address = loopback(family, 0), peer, name;
    struct net_socket *listener;

    if (!CHECK_OK(net_socket_open(family, NET_STREAM, 0, &listener)) ||
        !CHECK_OK(net_socket_bind(listener, &address)) ||
        !CHECK_OK(net_socket_listen(listener, 1)) ||
        !CHECK_OK(net_socket_name(listener, &address)) ||
        !CHECK_OK(net_socket_open(family, NET_STREAM, 0, &pair[0])))
        return false;
    CHECK_NE(address.port, 0);
    CHECK_EQ(net_socket_events(listener), 0);
    if (!CHECK_OK(net_socket_connect(pair[0], &address, ms_from_now(LONG_WAIT_MS))))
        return false;
    CHECK_EQ(net_socket_events(listener), NET_READABLE);
    if (!CHECK_OK(net_socket_accept(listener, 0, &pair[1], &peer)))
        return false;
    CHECK_OK(net_socket_name(pair[0], &name));
    CHECK_EQ(memcmp(&name, &peer, sizeof(name)), 0);
    CHECK_EQ(net_socket_accept(listener, 0, &pair[1], NULL), -EAGAIN);
    net_socket_close(listener);
    return true;
}

static void close_pair(struct net_socket *pair[2])
{
    net_socket_close(pair[0]);
    net_socket_close(pair[1]);
}

static void stream(enum net_family family)
{
    struct net_socket *pair[2];
    char buffer[64];

    REQUIRE(make_pair(family, pair));
    CHECK_EQ(net_socket_events(pair[1]), NET_WRITABLE);
    CHECK_EQ(send_all(pair[0], "hello", 5), 5);
    CHECK_EQ(net_socket_events(pair[1]), NET_WRITABLE | NET_READABLE);
    CHECK_EQ(receive_some(pair[1], buffer, sizeof(buffer)), 5);
    CHECK_EQ(memcmp(buffer, "hello", 5), 0);
    CHECK_EQ(net_socket_events(pair[1]), NET_WRITABLE);

    CHECK_OK(net_socket_shutdown(pair[0], false, true));
    CHECK_EQ(net_socket_events(pair[1]), NET_WRITABLE | NET_READABLE | NET_PEER_CLOSED);
    CHECK_EQ(receive_some(pair[1], buffer, sizeof(buffer)), 0);
    CHECK_EQ(send_all(pair[1], "back", 4), 4);
    CHECK_EQ(receive_some(pair[0], buffer, sizeof(buffer)), 4);
    CHECK_EQ(send_all(pair[0], "x", 1), -EPIPE);
    close_pair(pair);
}

TEST(stream_ipv4,
     "A TCP connection over 127.0.0.1 carries data both ways, and ends one way at a time.")
{
    stream(NET_IPV4);
}

TEST(stream_ipv6, "A TCP connection over ::1 does, too.")
{
    stream(NET_IPV6);
}

static void datagrams(enum net_family family)
{
    struct net_address address = loopback(family, 0), from;
    struct net_socket *a, *b;
    struct net_receive_info info;
    char buffer[16];
    struct net_span out = span("datagram", 8), in = span(buffer, 4);

    REQUIRE_OK(net_socket_open(family, NET_DATAGRAM, 0, &a));
    REQUIRE_OK(net_socket_open(family, NET_DATAGRAM, 0, &b));
    REQUIRE_OK(net_socket_bind(a, &address));
    REQUIRE_OK(net_socket_bind(b, &address));
    REQUIRE_OK(net_socket_name(a, &address));
    REQUIRE_OK(net_socket_name(b, &from));
    CHECK_EQ(net_socket_send(b, &out, 1, 0, &address, 0), 8);
    CHECK_EQ(net_socket_send(b, &out, 1, 0, &address, 0), 8);
    CHECK_EQ(net_socket_events(a), NET_READABLE | NET_WRITABLE);
    CHECK_EQ(net_socket_receive(a, &in, 1, NET_MSG_PEEK, &info, 0), 4);
    CHECK_EQ(net_socket_receive(a, &in, 1, NET_MSG_TRUNCATE, &info, 0), 8);
    CHECK(info.truncated);
    CHECK_EQ(memcmp(&info.from, &from, sizeof(from)), 0);
    CHECK_EQ(memcmp(info.to.address, address.address, 16), 0);
    in = span(buffer, sizeof(buffer));
    CHECK_EQ(net_socket_receive(a, &in, 1, 0, &info, 0), 8);
    CHECK(!info.truncated);
    CHECK_EQ(memcmp(buffer, "datagram", 8), 0);
    CHECK_EQ(net_socket_receive(a, &in, 1, 0, NULL, 0), -EAGAIN);
    CHECK_EQ(net_socket_receive(a, &in, 1, 0, NULL, ms_from_now(5)), -EAGAIN);
    net_socket_close(a);
    net_socket_close(b);
}

TEST(datagram_ipv4,
     "UDP datagrams over 127.0.0.1 keep their boundaries and say where they come from.")
{
    datagrams(NET_IPV4);
}

TEST(datagram_ipv6, "UDP datagrams over ::1 do, too.")
{
    datagrams(NET_IPV6);
}

TEST(large_datagram, "A datagram of 65507 bytes arrives whole; a larger one is refused.")
{
    static char big[65508], back[65508];
    struct net_address address = loopback(NET_IPV4, 0);
    struct net_socket *s;
    struct random r = RANDOM(1);
    struct net_span out = span(big, 65507), in = span(back, sizeof(back));

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)random_next(&r);
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_DATAGRAM, 0, &s));
    REQUIRE_OK(net_socket_bind(s, &address));
    REQUIRE_OK(net_socket_name(s, &address));
    CHECK_EQ(net_socket_send(s, &out, 1, 0, &address, 0), 65507);
    CHECK_EQ(net_socket_receive(s, &in, 1, 0, NULL, 0), 65507);
    CHECK_EQ(memcmp(big, back, 65507), 0);
    out.bytes++;
    CHECK_EQ(net_socket_send(s, &out, 1, 0, &address, 0), -EMSGSIZE);
    net_socket_close(s);
}

TEST(mapped_addresses,
     "An IPv6 listener takes IPv4 connections and shows them mapped, unless told not to.")
{
    struct net_address any = {.family = NET_IPV6}, v4 = loopback(NET_IPV4, 0), peer;
    static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    struct net_socket *listener, *client, *accepted;

    REQUIRE_OK(net_socket_open(NET_IPV6, NET_STREAM, 0, &listener));
    REQUIRE_OK(net_socket_bind(listener, &any));
    REQUIRE_OK(net_socket_listen(listener, 4));
    REQUIRE_OK(net_socket_name(listener, &any));
    v4.port = any.port;
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &client));
    REQUIRE_OK(net_socket_connect(client, &v4, ms_from_now(LONG_WAIT_MS)));
    REQUIRE_OK(net_socket_accept(listener, 0, &accepted, &peer));
    CHECK_EQ(peer.family, NET_IPV6);
    CHECK_EQ(memcmp(peer.address, mapped, 16), 0);
    net_socket_close(client);
    net_socket_close(accepted);
    net_socket_close(listener);

    any.port = 0;
    REQUIRE_OK(net_socket_open(NET_IPV6, NET_STREAM, 0, &listener));
    REQUIRE_OK(net_socket_set_option(listener, NET_OPTION_IPV6_ONLY, 1));
    REQUIRE_OK(net_socket_bind(listener, &any));
    REQUIRE_OK(net_socket_listen(listener, 4));
    REQUIRE_OK(net_socket_name(listener, &any));
    v4.port = any.port;
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &client));
    CHECK_EQ(net_socket_connect(client, &v4, ms_from_now(LONG_WAIT_MS)), -ECONNREFUSED);
    net_socket_close(client);
    net_socket_close(listener);
}

TEST(refused, "A connection to a port where nobody listens is refused, waiting or not.")
{
    struct net_address nobody = loopback(NET_IPV4, 9);
    struct net_socket *s;
    int error = 0;

    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &s));
    CHECK_EQ(net_socket_connect(s, &nobody, ms_from_now(LONG_WAIT_MS)), -ECONNREFUSED);
    CHECK_EQ(send_all(s, "x", 1), -EPIPE);
    net_socket_close(s);

    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &s));
    CHECK_EQ(net_socket_events(s), NET_WRITABLE | NET_HUNG_UP);
    CHECK_EQ(net_socket_connect(s, &nobody, 0),
             -ECONNREFUSED); /* over loopback it is known at once */
    CHECK_EQ(net_socket_events(s), NET_READABLE | NET_WRITABLE | NET_HUNG_UP | NET_PEER_CLOSED);
    CHECK_OK(net_socket_get_option(s, NET_OPTION_ERROR, &error));
    CHECK_EQ(error, 0);
    net_socket_close(s);
}

TEST(reset, "Closing with unread data resets the connection; the peer learns of it once.")
{
    struct net_socket *pair[2];
    char byte;

    REQUIRE(make_pair(NET_IPV4, pair));
    CHECK_EQ(send_all(pair[0], "unread", 6), 6);
    net_socket_close(pair[1]);
    CHECK(net_socket_events(pair[0]) & NET_FAILED);
    CHECK_EQ(receive_some(pair[0], &byte, 1), -ECONNRESET);
    CHECK_EQ(receive_some(pair[0], &byte, 1), 0);
    CHECK_EQ(send_all(pair[0], "x", 1), -EPIPE);
    net_socket_close(pair[0]);
}

#define BULK_BYTES (8ul << 20)

static void *bulk_sender(void *arg)
{
    struct net_socket *s = arg;
    struct random r = RANDOM(7);
    static char block[37777];

    for (size_t sent = 0; sent < BULK_BYTES;) {
        size_t bytes = 1 + random_below(&r, sizeof(block));
        if (bytes > BULK_BYTES - sent)
            bytes = BULK_BYTES - sent;
        for (size_t i = 0; i < bytes; i++)
            block[i] = (char)((sent + i) * 31 >> 3);
        if (!CHECK_EQ(send_all(s, block, bytes), bytes))
            break;
        sent += bytes;
    }
    net_socket_shutdown(s, false, true);
    return NULL;
}

TEST(bulk,
     "Megabytes through one connection arrive in order, though both ends wait for each other.")
{
    struct net_socket *pair[2];
    struct thread *sender;
    struct random r = RANDOM(8);
    static char block[50000];
    size_t total = 0;

    REQUIRE(make_pair(NET_IPV6, pair));
    REQUIRE_OK(thread_create(&sender, NULL, bulk_sender, pair[0]));
    for (;;) {
        long got = receive_some(pair[1], block, 1 + random_below(&r, sizeof(block)));
        if (got <= 0) {
            CHECK_EQ(got, 0);
            break;
        }
        for (long i = 0; i < got && !test_has_failed(); i++)
            CHECK_EQ(block[i], (char)((total + (size_t)i) * 31 >> 3));
        total += (size_t)got;
    }
    CHECK_EQ(total, BULK_BYTES);
    thread_join(sender, NULL);
    close_pair(pair);
}

static atomic_uint watched;

static void watcher(void *arg, unsigned events)
{
    CHECK_EQ((uintptr_t)arg, 42);
    atomic_fetch_or(&watched, events << 8);
    atomic_fetch_add(&watched, 1);
}

TEST(watch, "A socket's watcher hears of each arrival, of the end, and of room to send again.")
{
    struct net_socket *pair[2];
    static char block[1 << 16];
    long part, full = 0;

    REQUIRE(make_pair(NET_IPV4, pair));
    REQUIRE_OK(net_socket_set_option(pair[0], NET_OPTION_NO_DELAY, 1));
    net_socket_watch(pair[1], watcher, (void *)42);
    atomic_store(&watched, 0);
    send_all(pair[0], "1", 1);
    send_all(pair[0], "2", 1);
    CHECK_EQ(atomic_load(&watched), NET_READABLE << 8 | 2);
    struct net_span out = span(block, sizeof(block));
    while ((part = net_socket_send(pair[1], &out, 1, 0, NULL, 0)) > 0)
        full += part;
    CHECK_EQ(part, -EAGAIN);
    CHECK_EQ(net_socket_events(pair[1]) & NET_WRITABLE, 0);
    atomic_store(&watched, 0);
    while (full > 0)
        full -= receive_some(pair[0], block, sizeof(block));
    CHECK_EQ(atomic_load(&watched) >> 8, NET_WRITABLE);
    atomic_store(&watched, 0);
    net_socket_close(pair[0]);
    CHECK_EQ(atomic_load(&watched) >> 8, NET_READABLE | NET_PEER_CLOSED);
    net_socket_close(pair[1]);
}

TEST(backlog, "A listener holds as many connections as asked for and one; others wait for a place.")
{
    struct net_address address = loopback(NET_IPV4, 0);
    struct net_socket *listener, *clients[5], *accepted;
    unsigned i, connected = 0;

    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &listener));
    REQUIRE_OK(net_socket_bind(listener, &address));
    REQUIRE_OK(net_socket_listen(listener, 2));
    REQUIRE_OK(net_socket_name(listener, &address));
    for (i = 0; i < 5; i++) {
        REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &clients[i]));
        int result = net_socket_connect(clients[i], &address, 0);
        CHECK(result == 0 || result == -EINPROGRESS);
    }
    for (i = 0; i < 5; i++)
        connected += net_socket_events(clients[i]) == NET_WRITABLE;
    CHECK_EQ(connected, 3);
    for (i = 0; i < 5; i++) {
        REQUIRE_OK(net_socket_accept(listener, ms_from_now(LONG_WAIT_MS), &accepted, NULL));
        net_socket_close(accepted);
    }
    for (i = 0; i < 5; i++)
        net_socket_close(clients[i]);
    net_socket_close(listener);
}

TEST(time_wait, "A port whose connection we closed first serves its peer's next one at once.")
{
    struct net_address address = loopback(NET_IPV4, 0), client = loopback(NET_IPV4, 0);
    struct net_socket *listener, *s, *accepted;
    struct net_counts counts;
    char byte;

    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &listener));
    REQUIRE_OK(net_socket_bind(listener, &address));
    REQUIRE_OK(net_socket_listen(listener, 8));
    REQUIRE_OK(net_socket_name(listener, &address));
    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &s));
        REQUIRE_OK(net_socket_bind(s, &client));
        REQUIRE_OK(net_socket_name(s, &client)); /* the same port each time */
        REQUIRE_OK(net_socket_connect(s, &address, 0));
        REQUIRE_OK(net_socket_accept(listener, 0, &accepted, NULL));
        net_socket_close(accepted);
        CHECK_EQ(receive_some(s, &byte, 1), 0);
        net_socket_close(s);
        net_counts(&counts);
        CHECK_GE(counts.tcp_time_wait, 1);
    }
    net_socket_close(listener);
}

TEST(errors, "What a socket cannot do it refuses as Linux does.")
{
    struct net_address address = loopback(NET_IPV4, 0), far = {.family = NET_IPV4, .port = 1};
    struct net_address v6 = loopback(NET_IPV6, 1);
    struct net_socket *s, *other;
    char byte;
    struct net_span one = span(&byte, 1);

    CHECK_EQ(net_socket_open(NET_IPV4, NET_STREAM, 17, &s), -EPROTONOSUPPORT);
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &s));
    CHECK_EQ(net_socket_receive(s, &one, 1, 0, NULL, 0), -ENOTCONN);
    CHECK_EQ(net_socket_send(s, &one, 1, 0, NULL, 0), -EPIPE);
    CHECK_EQ(net_socket_shutdown(s, true, true), -ENOTCONN);
    CHECK_EQ(net_socket_peer(s, &address), -ENOTCONN);
    CHECK_EQ(net_socket_accept(s, 0, &other, NULL), -EINVAL);
    CHECK_EQ(net_socket_connect(s, &v6, 0), -EAFNOSUPPORT);
    memcpy(far.address, (uint8_t[]){192, 0, 2, 1}, 4);
    CHECK_EQ(net_socket_bind(s, &far), -EADDRNOTAVAIL);
    REQUIRE_OK(net_socket_bind(s, &address));
    CHECK_EQ(net_socket_bind(s, &address), -EINVAL);
    REQUIRE_OK(net_socket_name(s, &address));
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_STREAM, 0, &other));
    CHECK_EQ(net_socket_bind(other, &address), -EADDRINUSE);
    net_socket_close(other);
    net_socket_close(s);
    REQUIRE_OK(net_socket_open(NET_IPV4, NET_DATAGRAM, 0, &s));
    CHECK_EQ(net_socket_listen(s, 1), -EOPNOTSUPP);
    CHECK_EQ(net_socket_send(s, &one, 1, 0, NULL, 0), -EDESTADDRREQ);
    net_socket_close(s);
}
