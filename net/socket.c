/*
 * Sockets: what all kinds have in common.
 *
 * Callers: libc-glue, in threads. Lock: net_lock, but for net_socket_events.
 */
#include "net/socket.h"

#include <errno.h>
#include <string.h>

#include <lwip/igmp.h>
#include <lwip/ip.h>
#include <lwip/mld6.h>
#include <lwip/netif.h>

#include "net/core.h"
#include "net/memory.h"
#include "net/socket_inside.h"

#define DEFAULT_BUFFER_BYTES 212992 /* as Linux says */

int socket_errno(err_t error)
{
    switch (error) {
    case ERR_OK:
        return 0;
    case ERR_MEM:
    case ERR_BUF:
        return -ENOBUFS;
    case ERR_RTE:
        return -ENETUNREACH;
    case ERR_USE:
        return -EADDRINUSE;
    case ERR_ISCONN:
        return -EISCONN;
    case ERR_CONN:
    case ERR_CLSD:
        return -ENOTCONN;
    case ERR_IF:
        return -ENETDOWN;
    case ERR_ABRT:
        return -ETIMEDOUT;
    case ERR_RST:
        return -ECONNRESET;
    default:
        return -EINVAL;
    }
}

/* --- Addresses ------------------------------------------------------------------------------ */

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

uint8_t socket_ip_type(const struct net_socket *s)
{
    if (s->family == NET_IPV4)
        return IPADDR_TYPE_V4;
    return s->ipv6_only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

void socket_address(const struct net_socket *s, const ip_addr_t *ip, uint16_t port,
                    struct net_address *out)
{
    memset(out, 0, sizeof(*out));
    out->family = s->family;
    out->port = port;
    if (!IP_IS_V4_VAL(*ip)) {
        memcpy(out->address, ip_2_ip6(ip)->addr, 16);
        out->interface = ip6_addr_zone(ip_2_ip6(ip));
    } else if (s->family == NET_IPV4) {
        memcpy(out->address, &ip_2_ip4(ip)->addr, 4);
    } else {
        memcpy(out->address, mapped_prefix, sizeof(mapped_prefix));
        memcpy(out->address + 12, &ip_2_ip4(ip)->addr, 4);
    }
}

static bool is_zero(const uint8_t *bytes, unsigned count)
{
    while (count > 0 && bytes[count - 1] == 0)
        count--;
    return count == 0;
}

int socket_ip(const struct net_socket *s, const struct net_address *address, ip_addr_t *out)
{
    memset(out, 0, sizeof(*out));
    if (address->family != s->family)
        return -EAFNOSUPPORT;
    if (address->family == NET_IPV4) {
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(out)->addr, address->address, 4);
        return 0;
    }
    if (memcmp(address->address, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        if (s->ipv6_only)
            return -EINVAL;
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(out)->addr, address->address + 12, 4);
        return 0;
    }
    IP_SET_TYPE_VAL(*out, is_zero(address->address, 16) ? socket_ip_type(s) : IPADDR_TYPE_V6);
    memcpy(ip_2_ip6(out)->addr, address->address, 16);
    if (ip6_addr_has_scope(ip_2_ip6(out), IP6_UNICAST)) {
        uint32_t number = address->interface ? address->interface : s->interface;
        if (number > UINT8_MAX || (number && !netif_get_by_index((u8_t)number)))
            return -EINVAL;
        ip6_addr_set_zone(ip_2_ip6(out), (u8_t)number);
    }
    return 0;
}

/* --- Readiness ------------------------------------------------------------------------------ */

void socket_update(struct net_socket *s, unsigned happened)
{
    unsigned before = atomic_load_explicit(&s->events, memory_order_relaxed);
    unsigned now = s->kind->events(s);

    if (s->error)
        now |= NET_FAILED | NET_READABLE | NET_WRITABLE;
    atomic_store_explicit(&s->events, now, memory_order_release);
    unsigned news = now & (~before | happened);
    if (!news)
        return;
    if (s->watcher)
        s->watcher(s->watcher_arg, news);
    if (s->changed.waiters.first)
        cond_broadcast(&s->changed);
}

unsigned net_socket_events(const struct net_socket *s)
{
    return atomic_load_explicit(&s->events, memory_order_acquire);
}

void net_socket_watch(struct net_socket *s, void (*fn)(void *arg, unsigned events), void *arg)
{
    net_lock();
    s->watcher_arg = arg;
    s->watcher = fn;
    net_unlock();
}

int socket_wait(struct net_socket *s, uint64_t deadline_ns)
{
    int error = net_wait_interruptible(&s->changed, deadline_ns);

    return error && error != -EINTR ? -EAGAIN : error;
}

int socket_take_error(struct net_socket *s)
{
    int error = s->error;

    if (error) {
        s->error = 0;
        socket_update(s, 0);
    }
    return -error;
}

/* --- Life ----------------------------------------------------------------------------------- */

struct net_socket *socket_new(enum net_family family, enum net_kind kind)
{
    struct net_socket *s = net_memory_alloc_zeroed(1, sizeof(*s));

    if (!s)
        return NULL;
    s->kind = kind == NET_STREAM     ? &socket_stream
              : kind == NET_DATAGRAM ? &socket_datagram
                                     : &socket_raw;
    s->family = family;
    s->linger_s = -1;
    s->send_buffer = s->receive_buffer = DEFAULT_BUFFER_BYTES;
    return s;
}

void socket_free(struct net_socket *s)
{
    net_memory_free(s);
}

int net_socket_open(enum net_family family, enum net_kind kind, int protocol,
                    struct net_socket **out)
{
    net_lock();
    struct net_socket *s = socket_new(family, kind);
    int error = s ? s->kind->open(s, protocol) : -ENOMEM;
    if (!error) {
        socket_update(s, 0);
        *out = s;
    } else if (s) {
        socket_free(s);
    }
    net_unlock();
    return error;
}

void net_socket_close(struct net_socket *s)
{
    net_lock();
    s->watcher = NULL;
    s->kind->close(s);
    socket_free(s);
    net_unlock();
}

/* --- Operations ----------------------------------------------------------------------------- */

/* Is it an address of ours, or one that means all of them? */
static bool is_local(const ip_addr_t *ip)
{
    struct netif *netif;

    if (ip_addr_isany(ip) || ip_addr_isloopback(ip) || ip_addr_ismulticast(ip))
        return true;
    NETIF_FOREACH(netif)
    {
        if (IP_IS_V4_VAL(*ip) ? ip4_addr_eq(ip_2_ip4(ip), netif_ip4_addr(netif)) ||
                                    ip4_addr_isbroadcast(ip_2_ip4(ip), netif)
                              : netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0)
            return true;
    }
    return false;
}

int net_socket_bind(struct net_socket *s, const struct net_address *address)
{
    ip_addr_t ip;

    net_lock();
    int error = socket_ip(s, address, &ip);
    if (!error && !is_local(&ip))
        error = -EADDRNOTAVAIL;
    if (!error)
        error = s->kind->bind(s, &ip, address->port);
    if (!error)
        socket_update(s, 0);
    net_unlock();
    return error;
}

int net_socket_listen(struct net_socket *s, int backlog)
{
    net_lock();
    int error = s->kind->listen ? s->kind->listen(s, backlog) : -EOPNOTSUPP;
    net_unlock();
    return error;
}

int net_socket_accept(struct net_socket *s, uint64_t deadline_ns, struct net_socket **out,
                      struct net_address *peer)
{
    net_lock();
    int error = s->kind->accept ? s->kind->accept(s, deadline_ns, out, peer) : -EOPNOTSUPP;
    net_unlock();
    return error;
}

int net_socket_connect(struct net_socket *s, const struct net_address *address,
                       uint64_t deadline_ns)
{
    ip_addr_t ip;
    int error;

    net_lock();
    if (!address) {
        error = s->kind == &socket_stream ? -EAFNOSUPPORT : s->kind->connect(s, NULL, 0, 0);
    } else {
        error = socket_ip(s, address, &ip);
        if (!error && ip_addr_isany(&ip)) { /* as on Linux: ourselves */
            if (s->family == NET_IPV4)
                ip_addr_set_loopback_val(false, ip);
            else
                ip_addr_set_loopback_val(true, ip);
        }
        if (!error)
            error = s->kind->connect(s, &ip, address->port, deadline_ns);
    }
    net_unlock();
    return error;
}

int net_socket_shutdown(struct net_socket *s, bool receive, bool send)
{
    net_lock();
    int error = s->kind->shutdown(s, receive, send);
    net_unlock();
    return error;
}

long net_socket_send(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                     unsigned flags, const struct net_address *to, uint64_t deadline_ns)
{
    net_lock();
    long result = s->kind->send(s, spans, nr_spans, flags, to, deadline_ns);
    net_unlock();
    return result;
}

long net_socket_receive(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                        unsigned flags, struct net_receive_info *info, uint64_t deadline_ns)
{
    net_lock();
    long result = s->kind->receive(s, spans, nr_spans, flags, info, deadline_ns);
    net_unlock();
    return result;
}

static int name(struct net_socket *s, bool peer, struct net_address *out)
{
    ip_addr_t ip;
    uint16_t port;

    net_lock();
    int error = s->kind->name(s, peer, &ip, &port);
    if (!error)
        socket_address(s, &ip, port, out);
    net_unlock();
    return error;
}

int net_socket_name(struct net_socket *s, struct net_address *out)
{
    return name(s, false, out);
}

int net_socket_peer(struct net_socket *s, struct net_address *out)
{
    return name(s, true, out);
}

/* --- Options -------------------------------------------------------------------------------- */

int net_socket_set_option(struct net_socket *s, enum net_option option, int value)
{
    int error = 0;

    net_lock();
    switch (option) {
    case NET_OPTION_SEND_BUFFER:
        s->send_buffer = value;
        break;
    case NET_OPTION_RECEIVE_BUFFER:
        s->receive_buffer = value;
        break;
    case NET_OPTION_INTERFACE:
        if (value < 0 || value > UINT8_MAX || (value && !netif_get_by_index((u8_t)value))) {
            error = -ENODEV;
            break;
        }
        s->interface = (uint8_t)value;
        error = s->kind->set_option(s, option, value);
        break;
    default:
        error = s->kind->set_option(s, option, value);
    }
    net_unlock();
    return error;
}

int net_socket_get_option(struct net_socket *s, enum net_option option, int *value)
{
    int error = 0;

    net_lock();
    switch (option) {
    case NET_OPTION_ERROR:
        *value = -socket_take_error(s);
        break;
    case NET_OPTION_SEND_BUFFER:
        *value = s->send_buffer;
        break;
    case NET_OPTION_RECEIVE_BUFFER:
        *value = s->receive_buffer;
        break;
    case NET_OPTION_INTERFACE:
        *value = s->interface;
        break;
    case NET_OPTION_IPV6_ONLY:
        *value = s->ipv6_only;
        error = s->family == NET_IPV6 ? 0 : -ENOPROTOOPT;
        break;
    default:
        error = s->kind->get_option(s, option, value);
    }
    net_unlock();
    return error;
}

static err_t join_or_leave(struct netif *netif, const ip_addr_t *group, bool join)
{
    if (IP_IS_V4_VAL(*group))
        return join ? igmp_joingroup_netif(netif, ip_2_ip4(group))
                    : igmp_leavegroup_netif(netif, ip_2_ip4(group));
    return join ? mld6_joingroup_netif(netif, ip_2_ip6(group))
                : mld6_leavegroup_netif(netif, ip_2_ip6(group));
}

/* The interface that is named, else the default one. */
int net_socket_join(struct net_socket *s, const struct net_address *group, bool join)
{
    ip_addr_t ip;

    net_lock();
    int error = socket_ip(s, group, &ip);
    if (!error && !ip_addr_ismulticast(&ip))
        error = -EINVAL;
    if (!error) {
        struct netif *netif =
            group->interface <= UINT8_MAX && group->interface ? netif_get_by_index(
                                                                    (u8_t)group->interface)
                                                              : netif_default;
        error = !netif                                      ? -ENODEV
                : join_or_leave(netif, &ip, join) == ERR_OK ? 0
                : join                                      ? -ENOBUFS
                                                            : -EADDRNOTAVAIL;
    }
    net_unlock();
    return error;
}
