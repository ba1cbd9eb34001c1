/*
 * Sockets of tests: over the loopback interface, by either family.
 */
#ifndef TESTS_POSIX_LOOPBACK_H
#define TESTS_POSIX_LOOPBACK_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/posix/check.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* The block that follows, once for each family. */
#define EACH_FAMILY(family)                                                                        \
    for (int family = AF_INET; family != 0; family = family == AF_INET ? AF_INET6 : 0)

socklen_t address_bytes(int family);
union address loopback(int family, uint16_t port);
uint16_t port_of(const union address *address);

/* A socket bound to a free port of the loopback address, and where that is. -1: failed, noted. */
int bound_socket(int family, int type, union address *address);
int listening_socket(int family, union address *address);
/* Two connected sockets: [0] the client's, [1] the accepted one. */
bool connected_pair(int family, int pair[2]);

int set_option(int fd, int level, int option, int value);
int get_option(int fd, int level, int option); /* or -1 */
short poll_now(int fd);                        /* all that poll reports, without waiting */
short poll_for(int fd, short events);          /* waits for one of them, at most 10 s */

#endif
