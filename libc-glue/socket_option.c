/*
 * getsockopt and setsockopt.
 *
 * Ordinary calls from threads. Source: Linux's socket(7), tcp(7), ip(7), ipv6(7); where they are
 * silent, what Linux does (tests/posix).
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "kernel/clock.h"
#include "libc-glue/glue.h"
#include "libc-glue/socket.h"
#include "net/net.h"

enum form {
    FLAG,     /* an int, 0 or 1 */
    NUMBER,   /* an int */
    BYTE,     /* a byte or an int; -1: the default value */
    ACCEPTED, /* set: an int that changes nothing here; get: 0 */
};

/* Options that are numbers of the network's own. */
static const struct number_option {
    int level, name;
    enum form form;
    enum net_option option;
    int least, most, fallback; /* what may be set; of BYTE, what -1 stands for */
} number_options[] = {
    {SOL_SOCKET, SO_REUSEADDR, FLAG, NET_OPTION_REUSE_ADDRESS, 0, 1, 0},
    {SOL_SOCKET, SO_BROADCAST, FLAG, NET_OPTION_BROADCAST, 0, 1, 0},
    {SOL_SOCKET, SO_KEEPALIVE, FLAG, NET_OPTION_KEEP_ALIVE, 0, 1, 0},
    {SOL_SOCKET, SO_SNDBUF, NUMBER, NET_OPTION_SEND_BUFFER, 0, INT32_MAX, 0},
    {SOL_SOCKET, SO_RCVBUF, NUMBER, NET_OPTION_RECEIVE_BUFFER, 0, INT32_MAX, 0},
    {SOL_SOCKET, SO_OOBINLINE, ACCEPTED, 0, 0, 0, 0},
    {SOL_SOCKET, SO_PRIORITY, ACCEPTED, 0, 0, 0, 0},
    {SOL_SOCKET, SO_DONTROUTE, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_TCP, TCP_NODELAY, FLAG, NET_OPTION_NO_DELAY, 0, 1, 0},
    {IPPROTO_TCP, TCP_CORK, FLAG, NET_OPTION_CORK, 0, 1, 0},
    {IPPROTO_TCP, TCP_KEEPIDLE, NUMBER, NET_OPTION_KEEP_IDLE_S, 1, 32767, 0},
    {IPPROTO_TCP, TCP_KEEPINTVL, NUMBER, NET_OPTION_KEEP_INTERVAL_S, 1, 32767, 0},
    {IPPROTO_TCP, TCP_KEEPCNT, NUMBER, NET_OPTION_KEEP_COUNT, 1, 127, 0},
    {IPPROTO_TCP, TCP_QUICKACK, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_IP, IP_TTL, BYTE, NET_OPTION_TTL, 1, 255, 64},
    {IPPROTO_IP, IP_TOS, BYTE, NET_OPTION_TOS, 0, 255, 0},
    {IPPROTO_IP, IP_MTU_DISCOVER, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_IP, IP_MULTICAST_TTL, BYTE, NET_OPTION_MULTICAST_TTL, 0, 255, 1},
    {IPPROTO_IP, IP_MULTICAST_LOOP, BYTE, NET_OPTION_MULTICAST_LOOP, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_V6ONLY, FLAG, NET_OPTION_IPV6_ONLY, 0, 1, 0},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, BYTE, NET_OPTION_TTL, 0, 255, 64},
    {IPPROTO_IPV6, IPV6_TCLASS, BYTE, NET_OPTION_TOS, 0, 255, 0},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, ACCEPTED, 0, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, BYTE, NET_OPTION_MULTICAST_TTL, 0, 255, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, BYTE, NET_OPTION_MULTICAST_LOOP, 0, 1, 1},
};

/* NULL: none; or not of this socket's family, or of no stream. */
static const struct number_option *find(const struct socket *s, int level, int name)
{
    const struct number_option *end =
        number_options + sizeof(number_options) / sizeof(number_options[0]);

    if ((level == IPPROTO_IPV6 && s->family != AF_INET6) ||
        (level == IPPROTO_TCP && s->type != SOCK_STREAM))
        return NULL;
    for (const struct number_option *o = number_options; o < end; o++)
        if (o->level == level && o->name == name)
            return o;
    return NULL;
}

static int get_int(const void *value, socklen_t bytes, int *out)
{
    if (bytes < sizeof(*out))
        return -EINVAL;
    memcpy(out, value, sizeof(*out));
    return 0;
}

/* Stores what fits of a result. */
static int put(const void *from, size_t from_bytes, void *value, socklen_t *bytes)
{
    if (*bytes > INT32_MAX)
        return -EINVAL;
    if (*bytes > from_bytes)
        *bytes = (socklen_t)from_bytes;
    memcpy(value, from, *bytes);
    return 0;
}

static int put_int(int number, void *value, socklen_t *bytes)
{
    return put(&number, sizeof(number), value, bytes);
}

static int set_number(struct socket *s, const struct number_option *o, const void *value,
                      socklen_t bytes)
{
    int number, error = 0;

    if (o->form == BYTE && bytes > 0 && bytes < sizeof(number))
        number = *(const unsigned char *)value;
    else
        error = get_int(value, bytes, &number);
    if (error != 0 || o->form == ACCEPTED)
        return error;
    if (o->form == FLAG || o->option == NET_OPTION_MULTICAST_LOOP)
        number = number != 0;
    if (o->form == BYTE && number == -1)
        number = o->fallback;
    if (number < o->least || number > o->most)
        return -EINVAL;
    return net_socket_set_option(s->net, o->option, number);
}

static int get_number(struct socket *s, const struct number_option *o, void *value,
                      socklen_t *bytes)
{
    int number = 0, error = 0;

    if (o->form != ACCEPTED)
        error = net_socket_get_option(s->net, o->option, &number);
    return error != 0 ? error : put_int(number, value, bytes);
}

/* --- Time-outs ----------------------------------------------------------------------------------
 */

static int set_timeout(_Atomic uint64_t *timeout_ns, const void *value, socklen_t bytes)
{
    struct timeval time;

    if (bytes < sizeof(time))
        return -EINVAL;
    memcpy(&time, value, sizeof(time));
    if (time.tv_usec < 0 || time.tv_usec >= 1000000)
        return -EDOM;
    if (time.tv_sec < 0) /* Linux: at once; one cannot tell that from never but by a nanosecond */
        *timeout_ns = 1;
    else if (time.tv_sec > (time_t)(INT64_MAX / NS_PER_SECOND) - 1)
        *timeout_ns = 0;
    else
        *timeout_ns = (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_usec * NS_PER_US;
    return 0;
}

static int get_timeout(uint64_t timeout_ns, void *value, socklen_t *bytes)
{
    struct timeval time = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
        .tv_usec = (suseconds_t)(timeout_ns % NS_PER_SECOND / NS_PER_US),
    };

    return put(&time, sizeof(time), value, bytes);
}

/* --- Interfaces and groups ----------------------------------------------------------------------
 */

/* A group that a socket has joined, which ends with the socket. */
struct membership {
    SLIST_ENTRY(membership) link;
    struct net_address group;
};

static bool is_same(const struct net_address *a, const struct net_address *b)
{
    return a->interface == b->interface && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* memberships_lock held. */
static int join(struct socket *s, const struct net_address *group)
{
    struct membership *m;

    SLIST_FOREACH(m, &s->memberships, link)
    {
        if (is_same(&m->group, group))
            return -EADDRINUSE;
    }
    m = malloc(sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    int error = net_socket_join(s->net, group, true);
    if (error != 0) {
        free(m);
        return error;
    }
    m->group = *group;
    SLIST_INSERT_HEAD(&s->memberships, m, link);
    return 0;
}

/* memberships_lock held. */
static int leave(struct socket *s, const struct net_address *group)
{
    struct membership *m;

    SLIST_FOREACH(m, &s->memberships, link)
    {
        if (is_same(&m->group, group))
            break;
    }
    if (m == NULL)
        return -EADDRNOTAVAIL;
    int error = net_socket_join(s->net, group, false);
    SLIST_REMOVE(&s->memberships, m, membership, link);
    free(m);
    return error;
}

static int join_or_leave(struct socket *s, const struct net_address *group, bool joins)
{
    mutex_lock(&s->memberships_lock);
    int error = joins ? join(s, group) : leave(s, group);
    mutex_unlock(&s->memberships_lock);
    return error;
}

void socket_leave_groups(struct socket *s)
{
    struct membership *m;

    while ((m = SLIST_FIRST(&s->memberships)) != NULL)
        leave(s, &m->group);
}

/* The number of the interface with an IPv4 address; 0: any. -ENODEV. */
static int interface_of(struct in_addr address)
{
    struct net_interface interface;

    if (address.s_addr == 0)
        return 0;
    for (unsigned n = 0; net_interface(n, &interface) == 0; n++)
        for (unsigned i = 0; i < interface.nr_addresses; i++)
            if (interface.addresses[i].address.family == NET_IPV4 &&
                memcmp(interface.addresses[i].address.address, &address, sizeof(address)) == 0)
                return (int)interface.number;
    return -ENODEV;
}

/* Of a struct ip_mreqn, an ip_mreq or (an option that names no group) an in_addr. */
static int interface_in(const void *value, socklen_t bytes)
{
    struct ip_mreqn request = {0};

    if (bytes >= sizeof(request)) {
        memcpy(&request, value, sizeof(request));
        if (request.imr_ifindex != 0)
            return request.imr_ifindex;
    } else if (bytes >= sizeof(struct ip_mreq)) {
        memcpy(&request, value, sizeof(struct ip_mreq));
    } else if (bytes >= sizeof(request.imr_address)) {
        memcpy(&request.imr_address, value, sizeof(request.imr_address));
    } else {
        return -EINVAL;
    }
    return interface_of(request.imr_address);
}

static int change_membership(struct socket *s, bool joins, const void *value, socklen_t bytes)
{
    struct net_address group = {.family = NET_IPV4};
    int interface;

    if (bytes < sizeof(struct ip_mreq) || s->family != AF_INET)
        return -EINVAL;
    interface = interface_in(value, bytes);
    if (interface < 0)
        return interface;
    memcpy(group.address, value, sizeof(struct in_addr));
    group.interface = (uint32_t)interface;
    return join_or_leave(s, &group, joins);
}

static int change_membership6(struct socket *s, bool joins, const void *value, socklen_t bytes)
{
    struct net_address group = {.family = NET_IPV6};
    struct ipv6_mreq request;

    if (bytes < sizeof(request))
        return -EINVAL;
    memcpy(&request, value, sizeof(request));
    memcpy(group.address, &request.ipv6mr_multiaddr, sizeof(group.address));
    group.interface = request.ipv6mr_interface;
    return join_or_leave(s, &group, joins);
}

static int set_multicast_interface(struct socket *s, const void *value, socklen_t bytes)
{
    int interface = interface_in(value, bytes);

    return interface < 0 ? interface : net_socket_set_option(s->net, NET_OPTION_MULTICAST_INTERFACE, interface);
}

static int bind_to_device(struct socket *s, const void *value, socklen_t bytes)
{
    char name[IF_NAMESIZE] = "";
    unsigned number = 0;

    memcpy(name, value, bytes < sizeof(name) - 1 ? bytes : sizeof(name) - 1);
    if (name[0] != '\0' && (number = if_nametoindex(name)) == 0)
        return -ENODEV;
    return net_socket_set_option(s->net, NET_OPTION_INTERFACE, (int)number);
}

static int get_device(struct socket *s, void *value, socklen_t *bytes)
{
    char name[IF_NAMESIZE] = "";
    int number, error = net_socket_get_option(s->net, NET_OPTION_INTERFACE, &number);

    if (error != 0 || number == 0) {
        *bytes = 0;
        return error;
    }
    if_indextoname((unsigned)number, name);
    return put(name, strlen(name) + 1, value, bytes);
}

/* --- All the others ------------------------------------------------------------------------------
 */

static int set_linger(struct socket *s, const void *value, socklen_t bytes)
{
    struct linger linger;

    if (bytes < sizeof(linger))
        return -EINVAL;
    memcpy(&linger, value, sizeof(linger));
    return net_socket_set_option(s->net, NET_OPTION_LINGER,
                                 linger.l_onoff != 0 ? linger.l_linger : -1);
}

static int get_linger(struct socket *s, void *value, socklen_t *bytes)
{
    struct linger linger;
    int seconds, error = net_socket_get_option(s->net, NET_OPTION_LINGER, &seconds);

    linger.l_onoff = seconds >= 0;
    linger.l_linger = seconds >= 0 ? seconds : 0;
    return error != 0 ? error : put(&linger, sizeof(linger), value, bytes);
}

static int set_flag(atomic_bool *flag, const void *value, socklen_t bytes)
{
    int number, error = get_int(value, bytes, &number);

    if (error == 0)
        *flag = number != 0;
    return error;
}

/* Several datagram sockets share a port for a group's sake. Several streams would share the work of
 * several processors; there is one, and a second bind() fails. */
static int set_reuse_port(struct socket *s, const void *value, socklen_t bytes)
{
    int error = set_flag(&s->reuse_port, value, bytes);

    if (error == 0 && s->type == SOCK_DGRAM)
        error = net_socket_set_option(s->net, NET_OPTION_REUSE_ADDRESS, s->reuse_port);
    return error;
}

static int set_socket_level(struct socket *s, int name, const void *value, socklen_t bytes)
{
    switch (name) {
    case SO_RCVTIMEO:
        return set_timeout(&s->receive_timeout_ns, value, bytes);
    case SO_SNDTIMEO:
        return set_timeout(&s->send_timeout_ns, value, bytes);
    case SO_LINGER:
        return set_linger(s, value, bytes);
    case SO_REUSEPORT:
        return set_reuse_port(s, value, bytes);
    case SO_BINDTODEVICE:
        return bind_to_device(s, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_socket_level(struct socket *s, int name, void *value, socklen_t *bytes)
{
    int number = 0, error = 0;

    switch (name) {
    case SO_TYPE:
        return put_int(s->type, value, bytes);
    case SO_DOMAIN:
        return put_int(s->family, value, bytes);
    case SO_PROTOCOL:
        return put_int(s->protocol, value, bytes);
    case SO_ERROR:
        error = net_socket_get_option(s->net, NET_OPTION_ERROR, &number);
        return error != 0 ? error : put_int(number, value, bytes);
    case SO_ACCEPTCONN:
        if (net_socket_get_option(s->net, NET_OPTION_ACCEPTING, &number) != 0)
            number = 0; /* a datagram socket */
        return put_int(number, value, bytes);
    case SO_REUSEPORT:
        return put_int(s->reuse_port, value, bytes);
    case SO_RCVLOWAT:
    case SO_SNDLOWAT:
        return put_int(1, value, bytes);
    case SO_RCVTIMEO:
        return get_timeout(s->receive_timeout_ns, value, bytes);
    case SO_SNDTIMEO:
        return get_timeout(s->send_timeout_ns, value, bytes);
    case SO_LINGER:
        return get_linger(s, value, bytes);
    case SO_BINDTODEVICE:
        return get_device(s, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

static int set_ip_level(struct socket *s, int name, const void *value, socklen_t bytes)
{
    switch (name) {
    case IP_PKTINFO:
        return set_flag(&s->wants_packet_info, value, bytes);
    case IP_MULTICAST_IF:
        return set_multicast_interface(s, value, bytes);
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
        return change_membership(s, name == IP_ADD_MEMBERSHIP, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

static int set_ipv6_level(struct socket *s, int name, const void *value, socklen_t bytes)
{
    int number, error;

    if (s->family != AF_INET6)
        return -ENOPROTOOPT;
    switch (name) {
    case IPV6_RECVPKTINFO:
        return set_flag(&s->wants_packet_info, value, bytes);
    case IPV6_MULTICAST_IF:
        error = get_int(value, bytes, &number);
        return error != 0 ? error
                          : net_socket_set_option(s->net, NET_OPTION_MULTICAST_INTERFACE, number);
    case IPV6_JOIN_GROUP:
    case IPV6_LEAVE_GROUP:
        return change_membership6(s, name == IPV6_JOIN_GROUP, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

/* --- Of AF_UNIX ---------------------------------------------------------------------------------
 */

/* What is accepted there changes nothing on Linux either. */
static int set_pair_option(struct socket *s, int level, int name, const void *value,
                           socklen_t bytes)
{
    int number;

    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    switch (name) {
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
        return set_socket_level(s, name, value, bytes);
    case SO_BROADCAST:
    case SO_DONTROUTE:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_PRIORITY:
    case SO_RCVBUF:
    case SO_REUSEADDR:
    case SO_SNDBUF:
        return get_int(value, bytes, &number);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_pair_option(struct socket *s, int level, int name, void *value, socklen_t *bytes)
{
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    switch (name) {
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_RCVLOWAT:
    case SO_RCVTIMEO:
    case SO_SNDLOWAT:
    case SO_SNDTIMEO:
    case SO_TYPE:
        return get_socket_level(s, name, value, bytes);
    case SO_ACCEPTCONN:
        return put_int(0, value, bytes);
    case SO_ERROR:
        return put_int(socket_pair_error(s), value, bytes);
    case SO_RCVBUF:
    case SO_SNDBUF:
        return put_int(socket_pair_buffer_bytes(), value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

/* --- System calls -------------------------------------------------------------------------------
 */

static int set_option(struct socket *s, int level, int name, const void *value, socklen_t bytes)
{
    const struct number_option *number = find(s, level, name);

    if (bytes > INT32_MAX)
        return -EINVAL;
    if (value == NULL && bytes != 0)
        return -EFAULT;
    if (s->net == NULL)
        return set_pair_option(s, level, name, value, bytes);
    if (number != NULL)
        return set_number(s, number, value, bytes);
    switch (level) {
    case SOL_SOCKET:
        return set_socket_level(s, name, value, bytes);
    case IPPROTO_IP:
        return set_ip_level(s, name, value, bytes);
    case IPPROTO_IPV6:
        return set_ipv6_level(s, name, value, bytes);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_option(struct socket *s, int level, int name, void *value, socklen_t *bytes)
{
    const struct number_option *number = find(s, level, name);
    int segment;

    if (value == NULL || bytes == NULL)
        return -EFAULT;
    if (s->net == NULL)
        return get_pair_option(s, level, name, value, bytes);
    if (number != NULL)
        return get_number(s, number, value, bytes);
    if (level == SOL_SOCKET)
        return get_socket_level(s, name, value, bytes);
    if ((level == IPPROTO_IP && name == IP_PKTINFO) ||
        (level == IPPROTO_IPV6 && name == IPV6_RECVPKTINFO && s->family == AF_INET6))
        return put_int(s->wants_packet_info, value, bytes);
    if (level == IPPROTO_TCP && name == TCP_MAXSEG && s->type == SOCK_STREAM &&
        net_socket_get_option(s->net, NET_OPTION_MAX_SEGMENT, &segment) == 0)
        return put_int(segment, value, bytes);
    return -ENOPROTOOPT;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
    struct socket *s;
    int error = socket_get(fd, &s);

    if (error == 0) {
        error = set_option(s, level, option, value, bytes);
        socket_put(s);
    }
    return (int)glue_result(error);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
    struct socket *s;
    int error = socket_get(fd, &s);

    if (error == 0) {
        error = get_option(s, level, option, value, bytes);
        socket_put(s);
    }
    return (int)glue_result(error);
}
