/*
 * A server for iperf 2 clients (Debian's package iperf, 2.1.8): TCP in both directions (plain, -R,
 * --full-duplex, -d, -r), UDP from the client with a report of what arrived. Plain POSIX with poll:
 * it runs on Parvus and on Linux.
 *
 * usage: iperf [PORT]       default: 5001
 *
 * The protocol, as its clients speak it: a TCP client's first bytes tell what it wants (struct
 * client_header); who sends does so for the time or the bytes told there, then closes. A UDP client
 * numbers its datagrams; a negative number ends the test and is answered by a report.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PORT 5001
#define MAX_ENTRIES 256
#define MAX_STREAMS 64 /* UDP tests at a time */
#define BUFFER_BYTES (128u << 10)
#define PARTS 8u /* sent or received in one turn */

/* All fields in network byte order. */
struct client_header {
    uint32_t flags;
    int32_t threads, port, buffer_bytes, window, amount;
    int32_t type, length; /* from here on with FLAG_EXTENDED */
    uint16_t upper_flags, lower_flags;
};
#define FLAG_VERSION_1 0x80000000u /* the client listens, and wants us to connect */
#define FLAG_EXTENDED 0x40000000u
#define FLAG_NOW 0x00000001u /* ... at once (-d), else at the end (-r) */
#define UPPER_REVERSE 0x0400u
#define UPPER_FULL_DUPLEX 0x0800u

struct datagram {
    uint32_t number_low, seconds, microseconds, number_high;
};

struct report {
    uint32_t flags, bytes_high, bytes_low, stop_s, stop_us, lost, out_of_order, datagrams, jitter_s,
        jitter_us;
};

enum kind { LISTENER, DATAGRAMS, CONNECTION };

struct entry {
    enum kind kind;
    struct sockaddr_storage peer;
    struct client_header header;
    size_t header_bytes; /* of it that have come */
    bool is_known;       /* the header is evaluated */
    bool is_receiving, is_sending;
    uint64_t received, sent;
    uint64_t started_ms, send_until_ms, send_bytes; /* 0: no such limit */
    bool calls_back;                                /* at its end */
};

/* A UDP test, by the client's address. */
struct stream {
    struct sockaddr_storage peer;
    uint64_t last_ms, started_ms, bytes, datagrams, out_of_order, lost;
    int64_t highest;
    bool is_over;
    double jitter_s, last_transit_s;
};

static struct pollfd polls[MAX_ENTRIES];
static struct entry entries[MAX_ENTRIES];
static unsigned nr_entries;
static struct stream streams[MAX_STREAMS];
static char buffer[BUFFER_BYTES];

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void)
{
    return now_us() / 1000;
}

static void show(const char *what, uint64_t bytes, uint64_t ms)
{
    printf("iperf: %s %llu bytes in %llu.%03llu s, %.1f Mbit/s\n", what, (unsigned long long)bytes,
           (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
           ms > 0 ? (double)bytes * 8 / 1000 / (double)ms : 0.0);
    fflush(stdout);
}

static struct entry *add(int fd, enum kind kind)
{
    if (nr_entries == MAX_ENTRIES) {
        fprintf(stderr, "iperf: more than %u connections\n", MAX_ENTRIES);
        close(fd);
        return NULL;
    }
    polls[nr_entries] = (struct pollfd){.fd = fd, .events = POLLIN};
    entries[nr_entries] = (struct entry){.kind = kind, .started_ms = now_ms()};
    return &entries[nr_entries++];
}

/* --- TCP -------------------------------------------------------------------------------------- */

/* The amount is a number of bytes or, negative, of hundredths of a second. */
static void start_sending(struct entry *entry, int32_t amount)
{
    entry->is_sending = true;
    entry->started_ms = now_ms();
    if (amount < 0)
        entry->send_until_ms = entry->started_ms + 10 * (uint64_t)(-(int64_t)amount);
    else
        entry->send_bytes = (uint64_t)amount;
}

static void call_back(const struct entry *from)
{
    struct sockaddr_storage peer = from->peer;
    uint16_t port = htons((uint16_t)ntohl((uint32_t)from->header.port));
    bool is_ipv6 = peer.ss_family == AF_INET6;
    int fd = socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (is_ipv6)
        ((struct sockaddr_in6 *)&peer)->sin6_port = port;
    else
        ((struct sockaddr_in *)&peer)->sin_port = port;
    if (fd < 0 ||
        (connect(fd, (struct sockaddr *)&peer,
                 is_ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) != 0 &&
         errno != EINPROGRESS)) {
        perror("iperf: cannot connect back");
        if (fd >= 0)
            close(fd);
        return;
    }
    struct entry *entry = add(fd, CONNECTION);
    if (entry == NULL)
        return;
    polls[nr_entries - 1].events |= POLLOUT;
    entry->is_known = true;
    start_sending(entry, (int32_t)ntohl((uint32_t)from->header.amount));
}

/* What the client wants, once its header is there. */
static void evaluate(struct entry *entry)
{
    uint32_t flags = ntohl(entry->header.flags);
    uint16_t upper = (flags & FLAG_EXTENDED) != 0 ? ntohs(entry->header.upper_flags) : 0;

    entry->is_known = true;
    if ((upper & (UPPER_REVERSE | UPPER_FULL_DUPLEX)) != 0)
        start_sending(entry, (int32_t)ntohl((uint32_t)entry->header.amount));
    else if ((flags & FLAG_VERSION_1) != 0 && (flags & FLAG_NOW) != 0)
        call_back(entry);
    else
        entry->calls_back = (flags & FLAG_VERSION_1) != 0;
}

static void take_header(struct entry *entry, const char *data, size_t bytes)
{
    size_t wanted = sizeof(entry->header) - entry->header_bytes;

    if (bytes < wanted)
        wanted = bytes;
    memcpy((char *)&entry->header + entry->header_bytes, data, wanted);
    entry->header_bytes += wanted;
    if (entry->header_bytes == sizeof(entry->header) && !entry->is_known)
        evaluate(entry);
}

/* False: nothing more comes. */
static bool receive(int fd, struct entry *entry)
{
    for (unsigned i = 0; i < PARTS; i++) {
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (got <= 0)
            return false;
        entry->received += (uint64_t)got;
        if (!entry->is_known)
            take_header(entry, buffer, (size_t)got);
        if ((size_t)got < sizeof(buffer) / 2)
            return true;
    }
    return true;
}

/* False: all is sent, or nobody takes it. */
static bool send_more(int fd, struct entry *entry)
{
    for (unsigned i = 0; i < PARTS; i++) {
        size_t bytes = sizeof(buffer);

        if (entry->send_bytes > 0 && entry->send_bytes - entry->sent < bytes)
            bytes = (size_t)(entry->send_bytes - entry->sent);
        ssize_t part = bytes > 0 ? send(fd, buffer, bytes, MSG_NOSIGNAL) : 0;
        if (part < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN;
        entry->sent += (uint64_t)part;
        if (entry->send_bytes > 0 && entry->sent == entry->send_bytes)
            return false;
        if (entry->send_until_ms > 0 && now_ms() >= entry->send_until_ms)
            return false;
    }
    return true;
}

static void end(unsigned i)
{
    struct entry *entry = &entries[i];
    uint64_t ms = now_ms() - entry->started_ms;

    if (entry->received > sizeof(entry->header))
        show("received", entry->received, ms);
    if (entry->sent > 0)
        show("sent", entry->sent, ms);
    close(polls[i].fd);
    if (entry->calls_back)
        call_back(entry);
    nr_entries--;
    polls[i] = polls[nr_entries];
    entries[i] = entries[nr_entries];
}

static void serve_connection(unsigned i)
{
    struct entry *entry = &entries[i];
    int fd = polls[i].fd;

    if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !receive(fd, entry)) {
        end(i);
        return;
    }
    if (entry->is_sending && (polls[i].revents & POLLOUT) != 0 && !send_more(fd, entry)) {
        entry->is_sending = false;
        shutdown(fd, SHUT_WR); /* the client closes when it has all */
    }
    polls[i].events = (short)(POLLIN | (entry->is_sending ? POLLOUT : 0));
}

static void accept_one(int listener)
{
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof(peer);
    int fd = accept4(listener, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct entry *entry = fd >= 0 ? add(fd, CONNECTION) : NULL;

    if (entry != NULL)
        entry->peer = peer;
}

/* --- UDP -------------------------------------------------------------------------------------- */

static struct stream *stream_of(const struct sockaddr_storage *peer, socklen_t bytes)
{
    struct stream *oldest = &streams[0];

    for (unsigned i = 0; i < MAX_STREAMS; i++) {
        if (streams[i].last_ms != 0 && memcmp(&streams[i].peer, peer, bytes) == 0)
            return &streams[i];
        if (streams[i].last_ms < oldest->last_ms)
            oldest = &streams[i];
    }
    *oldest = (struct stream){.started_ms = now_ms()};
    memcpy(&oldest->peer, peer, bytes);
    return oldest;
}

/* RFC 3550, 6.4.1: the mean deviation of the transit time, smoothed by 16. */
static void count_jitter(struct stream *stream, const struct datagram *datagram)
{
    double sent_s = (double)ntohl(datagram->seconds) + (double)ntohl(datagram->microseconds) / 1e6;
    double transit_s = (double)now_us() / 1e6 - sent_s;
    double change_s = transit_s - stream->last_transit_s;

    if (stream->datagrams > 1)
        stream->jitter_s += ((change_s < 0 ? -change_s : change_s) - stream->jitter_s) / 16;
    stream->last_transit_s = transit_s;
}

static void count(struct stream *stream, const struct datagram *datagram, int64_t number,
                  size_t bytes)
{
    stream->bytes += bytes;
    stream->datagrams++;
    count_jitter(stream, datagram);
    if (number > stream->highest) {
        stream->lost += (uint64_t)(number - stream->highest - 1);
        stream->highest = number;
    } else {
        stream->out_of_order++; /* it was counted as lost */
        if (stream->lost > 0)
            stream->lost--;
    }
}

static void answer(int fd, const struct stream *stream, socklen_t peer_bytes, size_t bytes)
{
    uint64_t us = (stream->last_ms - stream->started_ms) * 1000;
    struct report report = {
        .flags = htonl(FLAG_VERSION_1),
        .bytes_high = htonl((uint32_t)(stream->bytes >> 32)),
        .bytes_low = htonl((uint32_t)stream->bytes),
        .stop_s = htonl((uint32_t)(us / 1000000)),
        .stop_us = htonl((uint32_t)(us % 1000000)),
        .lost = htonl((uint32_t)stream->lost),
        .out_of_order = htonl((uint32_t)stream->out_of_order),
        .datagrams = htonl((uint32_t)stream->highest),
        .jitter_s = htonl((uint32_t)stream->jitter_s),
        .jitter_us = htonl((uint32_t)(stream->jitter_s * 1e6) % 1000000),
    };

    if (bytes < sizeof(struct datagram) + sizeof(report))
        return;
    memset(buffer + sizeof(struct datagram), 0, bytes - sizeof(struct datagram));
    memcpy(buffer + sizeof(struct datagram), &report, sizeof(report));
    sendto(fd, buffer, bytes, MSG_NOSIGNAL, (const struct sockaddr *)&stream->peer, peer_bytes);
}

static void receive_datagrams(int fd)
{
    for (unsigned i = 0; i < 64; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_bytes = sizeof(peer);
        struct datagram datagram;
        ssize_t got =
            recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &peer_bytes);

        if (got < 0)
            return;
        if ((size_t)got < sizeof(datagram))
            continue;
        memcpy(&datagram, buffer, sizeof(datagram));
        int64_t number =
            (int64_t)((uint64_t)ntohl(datagram.number_high) << 32 | ntohl(datagram.number_low));
        struct stream *stream = stream_of(&peer, peer_bytes);

        if (number < 0) { /* the end, which the client repeats until it is answered */
            if (stream->last_ms == 0)
                continue; /* of what? */
            if (!stream->is_over)
                show("received by UDP", stream->bytes, stream->last_ms - stream->started_ms);
            stream->is_over = true;
            answer(fd, stream, peer_bytes, (size_t)got);
            continue;
        }
        if (stream->is_over) /* another test from the same port */
            *stream = (struct stream){.peer = peer, .started_ms = now_ms()};
        stream->last_ms = now_ms();
        count(stream, &datagram, number, (size_t)got);
    }
}

/* --- Everything ------------------------------------------------------------------------------- */

static void open_one(int family, int type, uint16_t port)
{
    struct sockaddr_in by_ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 by_ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_ipv6 = family == AF_INET6;
    int on = 1;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (is_ipv6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, is_ipv6 ? (struct sockaddr *)&by_ipv6 : (struct sockaddr *)&by_ipv4,
             is_ipv6 ? sizeof(by_ipv6) : sizeof(by_ipv4)) != 0 ||
        (type == SOCK_STREAM && listen(fd, SOMAXCONN) != 0)) {
        fprintf(stderr, "iperf: port %u, %s by %s: %s\n", port, type == SOCK_STREAM ? "TCP" : "UDP",
                is_ipv6 ? "IPv6" : "IPv4", strerror(errno));
        close(fd);
        return;
    }
    add(fd, type == SOCK_STREAM ? LISTENER : DATAGRAMS);
}

int main(int argc, char **argv)
{
    unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : DEFAULT_PORT;

    if (argc > 2 || port == 0 || port > 65535) {
        fprintf(stderr, "usage: iperf [PORT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    open_one(AF_INET, SOCK_STREAM, (uint16_t)port);
    open_one(AF_INET, SOCK_DGRAM, (uint16_t)port);
    open_one(AF_INET6, SOCK_STREAM, (uint16_t)port);
    open_one(AF_INET6, SOCK_DGRAM, (uint16_t)port);
    if (nr_entries == 0)
        return 1;
    printf("iperf: TCP and UDP port %lu\n", port);
    fflush(stdout);
    for (;;) {
        if (poll(polls, nr_entries, -1) < 0 && errno != EINTR) {
            perror("iperf: poll");
            return 1;
        }
        /* Backwards: whoever ends is replaced by one that had its turn. */
        for (unsigned i = nr_entries; i-- > 0;) {
            if (polls[i].revents == 0)
                continue;
            if (entries[i].kind == LISTENER)
                accept_one(polls[i].fd);
            else if (entries[i].kind == DATAGRAMS)
                receive_datagrams(polls[i].fd);
            else
                serve_connection(i);
        }
    }
}
