/*
 * Sends back what it gets, by TCP (RFC 862) and by UDP, over IPv4 and IPv6. Plain POSIX with poll:
 * it runs on Parvus and on Linux.
 *
 * usage: echo [PORT]       default: 7, on Linux 7007
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __parvus__
#define DEFAULT_PORT 7
#else
#define DEFAULT_PORT 7007
#endif

#define MAX_ENTRIES 4096
#define BUFFER_BYTES (64u << 10)

enum kind { LISTENER, DATAGRAMS, CONNECTION };

/* Beside each pollfd. What a connection has received and not sent yet waits in `bytes`: nothing
 * more is received before that is out. */
struct entry {
    enum kind kind;
    char *held;
    size_t at, bytes;
};

static struct pollfd polls[MAX_ENTRIES];
static struct entry entries[MAX_ENTRIES];
static unsigned nr_entries;
static char buffer[BUFFER_BYTES];

static bool add(int fd, enum kind kind)
{
    if (nr_entries == MAX_ENTRIES)
        return false;
    polls[nr_entries] = (struct pollfd){.fd = fd, .events = POLLIN};
    entries[nr_entries++] = (struct entry){.kind = kind};
    return true;
}

/* The last one takes its place. */
static void end(unsigned i)
{
    close(polls[i].fd);
    free(entries[i].held);
    nr_entries--;
    polls[i] = polls[nr_entries];
    entries[i] = entries[nr_entries];
}

static void accept_one(unsigned i)
{
    int fd = accept4(polls[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && !add(fd, CONNECTION))
        close(fd);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
        usleep(10000); /* nobody leaves sooner because we ask again */
}

static void return_datagrams(unsigned i)
{
    struct sockaddr_storage from;
    socklen_t from_bytes = sizeof(from);
    ssize_t got;

    while ((got = recvfrom(polls[i].fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from,
                           &from_bytes)) >= 0) {
        /* What does not go out at once is lost, as datagrams may be. */
        sendto(polls[i].fd, buffer, (size_t)got, MSG_NOSIGNAL, (struct sockaddr *)&from,
               from_bytes);
        from_bytes = sizeof(from);
    }
}

/* Sends on; false: the connection is no more. What does not go is held. */
static bool send_back(unsigned i, const char *data, size_t bytes)
{
    struct entry *entry = &entries[i];
    size_t sent = 0;

    while (sent < bytes) {
        ssize_t part = send(polls[i].fd, data + sent, bytes - sent, MSG_NOSIGNAL);

        if (part < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
        if (part < 0)
            break;
        sent += (size_t)part;
    }
    polls[i].events = sent < bytes ? POLLOUT : POLLIN;
    if (entry->held != NULL) {
        entry->at += sent;
        if (sent == bytes) {
            free(entry->held);
            entry->held = NULL;
        }
    } else if (sent < bytes) {
        entry->held = malloc(bytes - sent);
        if (entry->held == NULL)
            return false;
        memcpy(entry->held, data + sent, bytes - sent);
        entry->at = 0;
        entry->bytes = bytes - sent;
    }
    return true;
}

/* False: the connection has ended. */
static bool go_on(unsigned i)
{
    struct entry *entry = &entries[i];

    if (entry->held != NULL)
        return send_back(i, entry->held + entry->at, entry->bytes - entry->at);
    ssize_t got = recv(polls[i].fd, buffer, sizeof(buffer), 0);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK;
    return got > 0 && send_back(i, buffer, (size_t)got);
}

static void open_one(int family, int type, unsigned port)
{
    struct sockaddr_in by_ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 by_ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
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
        fprintf(stderr, "echo: port %u, %s by %s: %s\n", port, type == SOCK_STREAM ? "TCP" : "UDP",
                is_ipv6 ? "IPv6" : "IPv4", strerror(errno));
        close(fd);
        return;
    }
    add(fd, type == SOCK_STREAM ? LISTENER : DATAGRAMS);
}

static void serve(unsigned i)
{
    switch (entries[i].kind) {
    case LISTENER:
        accept_one(i);
        break;
    case DATAGRAMS:
        return_datagrams(i);
        break;
    case CONNECTION:
        if (!go_on(i))
            end(i);
        break;
    }
}

int main(int argc, char **argv)
{
    unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : DEFAULT_PORT;

    if (argc > 2 || port == 0 || port > 65535) {
        fprintf(stderr, "usage: echo [PORT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    open_one(AF_INET, SOCK_STREAM, (unsigned)port);
    open_one(AF_INET, SOCK_DGRAM, (unsigned)port);
    open_one(AF_INET6, SOCK_STREAM, (unsigned)port);
    open_one(AF_INET6, SOCK_DGRAM, (unsigned)port);
    if (nr_entries == 0)
        return 1;
    printf("echo: TCP and UDP port %lu\n", port);
    fflush(stdout);
    for (;;) {
        if (poll(polls, nr_entries, -1) < 0 && errno != EINTR) {
            perror("echo: poll");
            return 1;
        }
        /* Backwards: whoever ends is replaced by one that had its turn. */
        for (unsigned i = nr_entries; i-- > 0;) {
            if (polls[i].revents != 0)
                serve(i);
        }
    }
}
