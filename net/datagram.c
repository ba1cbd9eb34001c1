/*
 * Datagram and raw sockets over lwIP's UDP and raw callbacks.
 *
 * Callers: net/socket.c in threads; lwIP's callbacks. Lock: net_lock.
 */
#include <errno.h>
#include <string.h>

#include <lwip/inet_chksum.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/prot/ip6.h>
#include <lwip/raw.h>
#include <lwip/udp.h>

#include "net/device.h"
#include "net/memory.h"
#include "net/socket_inside.h"

#define MULTICAST_TTL 1     /* Linux's ip(7), IP_MULTICAST_TTL */
#define UDP_MAX_BYTES 65507 /* a 16-bit length of IP, less both headers */
#define UDP_HEADERS_MAX 48  /* IPv6 and UDP */
#define OVERHEAD_BYTES 512  /* what a datagram is taken to cost besides its bytes */

struct datagram {
    struct datagram *next;
    struct pbuf *p;
    ip_addr_t from, to;
    uint16_t from_port;
    uint8_t interface;
};

/* --- Receiving -------------------------------------------------------------------------------- */

/* Keeps a packet, unless the socket has enough. p is ours. */
static void keep(struct net_socket *s, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    struct datagram *d = NULL;

    if (!s->receive_shut &&
        s->unread_bytes + p->tot_len <= (size_t)(s->receive_buffer > 0 ? s->receive_buffer : 0))
        d = net_memory_alloc(sizeof(*d));
    if (!d) {
        pbuf_free(p);
        return;
    }
    *d = (struct datagram){
        .p = p,
        .from = *from,
        .to = *ip_current_dest_addr(),
        .from_port = port,
        .interface = netif_get_index(ip_current_input_netif()),
    };
    if (s->datagram.last)
        s->datagram.last->next = d;
    else
        s->datagram.first = d;
    s->datagram.last = d;
    s->unread_bytes += p->tot_len + OVERHEAD_BYTES;
    socket_update(s, NET_READABLE);
}

static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                   u16_t port)
{
    (void)pcb;
    keep(arg, net_device_settle(p), from, port);
}

/* A copy: lwIP's own protocols look at the packet, too. As on Linux, an IPv4 packet has its header,
 * an IPv6 packet has not. */
static u8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);

    (void)pcb;
    if (copy && IP_IS_V6_VAL(*from))
        pbuf_remove_header(copy, IP6_HLEN);
    if (copy)
        keep(arg, copy, from, 0);
    return 0;
}

static unsigned datagram_events(struct net_socket *s)
{
    unsigned events = NET_WRITABLE;

    if (s->datagram.first)
        events |= NET_READABLE;
    if (s->receive_shut)
        events |= NET_READABLE | NET_PEER_CLOSED | (s->send_shut ? NET_HUNG_UP : 0);
    return events;
}

static void drop_first(struct net_socket *s)
{
    struct datagram *d = s->datagram.first;

    s->datagram.first = d->next;
    if (!d->next)
        s->datagram.last = NULL;
    s->unread_bytes -= d->p->tot_len + OVERHEAD_BYTES;
    pbuf_free(d->p);
    net_memory_free(d);
}

static long datagram_receive(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                             unsigned flags, struct net_receive_info *info, uint64_t deadline_ns)
{
    size_t done = 0;

    while (!s->datagram.first) {
        if (s->error)
            return socket_take_error(s);
        if (s->receive_shut)
            return 0;
        int error = socket_wait(s, deadline_ns);
        if (error)
            return error;
    }
    const struct datagram *d = s->datagram.first;
    size_t full = d->p->tot_len;
    for (unsigned i = 0; i < nr_spans && done < full; i++) {
        size_t part = spans[i].bytes < full - done ? spans[i].bytes : full - done;
        pbuf_copy_partial(d->p, spans[i].data, (u16_t)part, (u16_t)done);
        done += part;
    }
    if (info) {
        socket_address(s, &d->from, d->from_port, &info->from);
        socket_address(s, &d->to, 0, &info->to);
        info->to.interface = d->interface;
        info->truncated = done < full;
    }
    if (!(flags & NET_MSG_PEEK)) {
        drop_first(s);
        if (!s->datagram.first)
            socket_update(s, 0);
    }
    return (long)(flags & NET_MSG_TRUNCATE ? full : done);
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* One packet of all spans. -EMSGSIZE, -ENOBUFS. */
static int gather(const struct net_span *spans, unsigned nr_spans, pbuf_layer layer,
                  struct pbuf **out)
{
    size_t bytes = spans_bytes(spans, nr_spans);

    if (bytes > UDP_MAX_BYTES)
        return -EMSGSIZE;
    struct pbuf *p = pbuf_alloc(layer, (u16_t)bytes, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    char *to = p->payload;
    for (unsigned i = 0; i < nr_spans; i++) {
        memcpy(to, spans[i].data, spans[i].bytes);
        to += spans[i].bytes;
    }
    *out = p;
    return 0;
}

/* The destination: what is named, else the peer. */
static int destination(struct net_socket *s, const struct net_address *to, ip_addr_t *ip,
                       uint16_t *port)
{
    if (s->send_shut)
        return -EPIPE;
    if (to) {
        *port = to->port;
        int error = socket_ip(s, to, ip);
        if (!error && ip_addr_isany(ip)) /* as on Linux: ourselves */
            ip_addr_set_loopback_val(s->family == NET_IPV6, *ip);
        return error;
    }
    if (!s->datagram.is_connected)
        return -EDESTADDRREQ;
    return s->kind->name(s, true, ip, port);
}

/* A device that completes checksums cannot do so over fragments. */
static struct netif *needs_checksum(const ip_addr_t *from, const ip_addr_t *to, size_t bytes)
{
    struct netif *netif = ip_route(from, to);

    if (!netif || !netif->mtu || bytes + UDP_HEADERS_MAX <= netif->mtu)
        return NULL;
    return netif;
}

static long udp_socket_send(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                            unsigned flags, const struct net_address *to, uint64_t deadline_ns)
{
    struct pbuf *p;
    ip_addr_t ip;
    uint16_t port;

    (void)flags, (void)deadline_ns; /* nothing to wait for: what does not fit is dropped */
    if (s->error)
        return socket_take_error(s);
    int error = destination(s, to, &ip, &port);
    if (!error && port == 0)
        error = -EINVAL;
    if (!error)
        error = gather(spans, nr_spans, PBUF_TRANSPORT, &p);
    if (error)
        return error;
    long bytes = p->tot_len;
    struct udp_pcb *pcb = s->datagram.udp;
    struct netif *netif = needs_checksum(&pcb->local_ip, &ip, p->tot_len);
    u16_t checksums = netif ? netif->chksum_flags : 0;
    if (netif)
        NETIF_SET_CHECKSUM_CTRL(netif, checksums | NETIF_CHECKSUM_GEN_UDP);
    err_t result = udp_sendto(pcb, p, &ip, port);
    if (netif)
        NETIF_SET_CHECKSUM_CTRL(netif, checksums);
    pbuf_free(p);
    if (result == ERR_VAL && ip_addr_isbroadcast(&ip, netif_default))
        return -EACCES;
    return result == ERR_OK ? bytes : socket_errno(result);
}

static long raw_socket_send(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                            unsigned flags, const struct net_address *to, uint64_t deadline_ns)
{
    struct pbuf *p;
    ip_addr_t ip;
    uint16_t port;

    (void)flags, (void)deadline_ns;
    int error = destination(s, to, &ip, &port);
    if (!error)
        error = gather(spans, nr_spans, PBUF_IP, &p);
    if (error)
        return error;
    long bytes = p->tot_len;
    err_t result = raw_sendto(s->datagram.raw, p, &ip);
    pbuf_free(p);
    return result == ERR_OK ? bytes : socket_errno(result);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int udp_open(struct net_socket *s, int protocol)
{
    if (protocol != 0 && protocol != IP_PROTO_UDP)
        return -EPROTONOSUPPORT;
    s->datagram.udp = udp_new_ip_type(socket_ip_type(s));
    if (!s->datagram.udp)
        return -ENOMEM;
    udp_recv(s->datagram.udp, on_udp, s);
    udp_set_multicast_ttl(s->datagram.udp, MULTICAST_TTL);
    udp_set_flags(s->datagram.udp, UDP_FLAGS_MULTICAST_LOOP);
    return 0;
}

static int raw_open(struct net_socket *s, int protocol)
{
    if (protocol < 1 || protocol > 255)
        return -EPROTONOSUPPORT;
    s->datagram.raw =
        raw_new_ip_type(s->family == NET_IPV4 ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6, (u8_t)protocol);
    if (!s->datagram.raw)
        return -ENOMEM;
    if (protocol == IP6_NEXTH_ICMP6 && s->family == NET_IPV6) { /* RFC 3542, 3.1 */
        s->datagram.raw->chksum_reqd = 1;
        s->datagram.raw->chksum_offset = 2;
    }
    raw_recv(s->datagram.raw, on_raw, s);
    return 0;
}

static void drop_all(struct net_socket *s)
{
    while (s->datagram.first)
        drop_first(s);
}

static void udp_socket_close(struct net_socket *s)
{
    udp_remove(s->datagram.udp);
    drop_all(s);
}

static void raw_socket_close(struct net_socket *s)
{
    raw_remove(s->datagram.raw);
    drop_all(s);
}

static int udp_socket_bind(struct net_socket *s, const ip_addr_t *ip, uint16_t port)
{
    if (s->datagram.udp->local_port)
        return -EINVAL;
    return socket_errno(udp_bind(s->datagram.udp, ip, port));
}

static int raw_socket_bind(struct net_socket *s, const ip_addr_t *ip, uint16_t port)
{
    (void)port;
    return socket_errno(raw_bind(s->datagram.raw, ip));
}

static int udp_socket_connect(struct net_socket *s, const ip_addr_t *ip, uint16_t port,
                              uint64_t deadline_ns)
{
    (void)deadline_ns;
    s->datagram.is_connected = ip != NULL;
    if (!ip) {
        udp_disconnect(s->datagram.udp);
        return 0;
    }
    return socket_errno(udp_connect(s->datagram.udp, ip, port));
}

static int raw_socket_connect(struct net_socket *s, const ip_addr_t *ip, uint16_t port,
                              uint64_t deadline_ns)
{
    (void)port, (void)deadline_ns;
    s->datagram.is_connected = ip != NULL;
    if (!ip) {
        raw_disconnect(s->datagram.raw);
        return 0;
    }
    return socket_errno(raw_connect(s->datagram.raw, ip));
}

/* The peer's machine has nobody at the port. */
void socket_unreachable(const ip_addr_t *peer, uint16_t peer_port, uint16_t own_port)
{
    for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
        struct net_socket *s = pcb->recv_arg;

        if (pcb->recv != on_udp || !s->datagram.is_connected || pcb->local_port != own_port ||
            pcb->remote_port != peer_port || !ip_addr_eq(&pcb->remote_ip, peer))
            continue;
        s->error = ECONNREFUSED;
        socket_update(s, NET_READABLE);
    }
}

static int datagram_shutdown(struct net_socket *s, bool receive, bool send)
{
    s->receive_shut |= receive;
    s->send_shut |= send;
    socket_update(s, NET_READABLE | NET_WRITABLE);
    return s->datagram.is_connected ? 0 : -ENOTCONN; /* it takes effect all the same, as on Linux */
}

static int udp_name(struct net_socket *s, bool peer, ip_addr_t *ip, uint16_t *port)
{
    const struct udp_pcb *pcb = s->datagram.udp;

    if (peer && !s->datagram.is_connected)
        return -ENOTCONN;
    *ip = peer ? pcb->remote_ip : pcb->local_ip;
    *port = peer ? pcb->remote_port : pcb->local_port;
    /* Linux shows which address a connected socket would send from. */
    if (!peer && s->datagram.is_connected && ip_addr_isany(ip)) {
        struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
        const ip_addr_t *from = netif ? ip_netif_get_local_ip(netif, &pcb->remote_ip) : NULL;
        if (from)
            *ip = *from;
    }
    return 0;
}

static int raw_name(struct net_socket *s, bool peer, ip_addr_t *ip, uint16_t *port)
{
    if (peer && !s->datagram.is_connected)
        return -ENOTCONN;
    *ip = peer ? s->datagram.raw->remote_ip : s->datagram.raw->local_ip;
    *port = 0;
    return 0;
}

/* --- Options ---------------------------------------------------------------------------------- */

/* Both kinds of lwIP object begin alike (IP_PCB). */
static int common_set(struct net_socket *s, struct ip_pcb *pcb, enum net_option option, int value)
{
    switch (option) {
    case NET_OPTION_REUSE_ADDRESS:
    case NET_OPTION_BROADCAST: {
        u8_t flag = option == NET_OPTION_BROADCAST ? SOF_BROADCAST : SOF_REUSEADDR;
        if (value)
            ip_set_option(pcb, flag);
        else
            ip_reset_option(pcb, flag);
        return 0;
    }
    case NET_OPTION_TTL:
        if (value < 1 || value > 255)
            return -EINVAL;
        pcb->ttl = (u8_t)value;
        return 0;
    case NET_OPTION_TOS:
        pcb->tos = (u8_t)value;
        return 0;
    case NET_OPTION_INTERFACE:
        pcb->netif_idx = s->interface;
        return 0;
    case NET_OPTION_LINGER:
    case NET_OPTION_KEEP_ALIVE:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int common_get(struct net_socket *s, const struct ip_pcb *pcb, enum net_option option,
                      int *value)
{
    switch (option) {
    case NET_OPTION_REUSE_ADDRESS:
        *value = ip_get_option(pcb, SOF_REUSEADDR) != 0;
        return 0;
    case NET_OPTION_BROADCAST:
        *value = ip_get_option(pcb, SOF_BROADCAST) != 0;
        return 0;
    case NET_OPTION_TTL:
        *value = pcb->ttl;
        return 0;
    case NET_OPTION_TOS:
        *value = pcb->tos;
        return 0;
    case NET_OPTION_LINGER:
        *value = -1;
        return 0;
    case NET_OPTION_ACCEPTING:
    case NET_OPTION_KEEP_ALIVE:
    case NET_OPTION_UNSENT_BYTES:
        *value = 0;
        return 0;
    case NET_OPTION_UNREAD_BYTES:
        *value = s->datagram.first ? s->datagram.first->p->tot_len : 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int udp_set_option(struct net_socket *s, enum net_option option, int value)
{
    struct udp_pcb *pcb = s->datagram.udp;

    switch (option) {
    case NET_OPTION_IPV6_ONLY:
        if (s->family != NET_IPV6)
            return -ENOPROTOOPT;
        if (pcb->local_port)
            return -EINVAL;
        s->ipv6_only = value;
        IP_SET_TYPE_VAL(pcb->local_ip, socket_ip_type(s));
        IP_SET_TYPE_VAL(pcb->remote_ip, socket_ip_type(s));
        return 0;
    case NET_OPTION_MULTICAST_TTL:
        if (value < 0 || value > 255)
            return -EINVAL;
        udp_set_multicast_ttl(pcb, (u8_t)value);
        return 0;
    case NET_OPTION_MULTICAST_LOOP:
        if (value)
            udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
        else
            udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
        return 0;
    case NET_OPTION_MULTICAST_INTERFACE:
        if (value < 0 || value > UINT8_MAX || (value && !netif_get_by_index((u8_t)value)))
            return -ENODEV;
        udp_set_multicast_netif_index(pcb, (u8_t)value);
        return 0;
    default:
        return common_set(s, (struct ip_pcb *)pcb, option, value);
    }
}

static int udp_get_option(struct net_socket *s, enum net_option option, int *value)
{
    const struct udp_pcb *pcb = s->datagram.udp;

    switch (option) {
    case NET_OPTION_MULTICAST_TTL:
        *value = udp_get_multicast_ttl(pcb);
        return 0;
    case NET_OPTION_MULTICAST_LOOP:
        *value = udp_is_flag_set(pcb, UDP_FLAGS_MULTICAST_LOOP) != 0;
        return 0;
    case NET_OPTION_MULTICAST_INTERFACE:
        *value = udp_get_multicast_netif_index(pcb);
        return 0;
    default:
        return common_get(s, (const struct ip_pcb *)pcb, option, value);
    }
}

static int raw_set_option(struct net_socket *s, enum net_option option, int value)
{
    return common_set(s, (struct ip_pcb *)s->datagram.raw, option, value);
}

static int raw_get_option(struct net_socket *s, enum net_option option, int *value)
{
    return common_get(s, (const struct ip_pcb *)s->datagram.raw, option, value);
}

const struct socket_kind socket_datagram = {
    .open = udp_open,
    .bind = udp_socket_bind,
    .connect = udp_socket_connect,
    .shutdown = datagram_shutdown,
    .send = udp_socket_send,
    .receive = datagram_receive,
    .name = udp_name,
    .set_option = udp_set_option,
    .get_option = udp_get_option,
    .close = udp_socket_close,
    .events = datagram_events,
};

const struct socket_kind socket_raw = {
    .open = raw_open,
    .bind = raw_socket_bind,
    .connect = raw_socket_connect,
    .shutdown = datagram_shutdown,
    .send = raw_socket_send,
    .receive = datagram_receive,
    .name = raw_name,
    .set_option = raw_set_option,
    .get_option = raw_get_option,
    .close = raw_socket_close,
    .events = datagram_events,
};
