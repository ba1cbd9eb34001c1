/*
 * See loopback.h.
 */
#define _GNU_SOURCE
#include "tests/posix/loopback.h"

#include <poll.h>
#include <unistd.h>

socklen_t address_bytes(int family)
{
    return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

union address loopback(int family, uint16_t port)
{
    union address address;

    memset(&address, 0, sizeof(address));
    address.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        address.in.sin_port = htons(port);
        address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        address.in6.sin6_port = htons(port);
        address.in6.sin6_addr = in6addr_loopback;
    }
    return address;
}

uint16_t port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET ? address->in.sin_port : address->in6.sin6_port);
}

int bound_socket(int family, int type, union address *address)
{
    socklen_t bytes = sizeof(*address);
    int fd = socket(family, type, 0);

    *address = loopback(family, 0);
    if (!CHECK_GE(fd, 0))
        return -1;
    CHECK_OK(bind(fd, &address->any, address_bytes(family)));
    CHECK_OK(getsockname(fd, &address->any, &bytes));
    CHECK_EQ(bytes, address_bytes(family));
    CHECK_NE(port_of(address), 0);
    return fd;
}

int listening_socket(int family, union address *address)
{
    int fd = bound_socket(family, SOCK_STREAM, address);

    if (fd >= 0)
        CHECK_OK(listen(fd, 16));
    return fd;
}

bool connected_pair(int family, int pair[2])
{
    union address address;
    int listener = listening_socket(family, &address);

    pair[0] = socket(family, SOCK_STREAM, 0);
    CHECK_OK(connect(pair[0], &address.any, address_bytes(family)));
    pair[1] = accept(listener, NULL, NULL);
    CHECK_OK(close(listener));
    return CHECK(pair[0] >= 0 && pair[1] >= 0);
}

int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

int get_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t bytes = sizeof(value);

    if (getsockopt(fd, level, option, &value, &bytes) != 0)
        return -1;
    CHECK_EQ(bytes, sizeof(value));
    return value;
}

short poll_now(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    CHECK_GE(poll(&p, 1, 0), 0);
    return p.revents;
}

short poll_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    CHECK_EQ(poll(&p, 1, 10000), 1);
    return p.revents;
}
