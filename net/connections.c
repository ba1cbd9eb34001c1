/*
 * Connections by peer and ports, see net/connections.h.
 *
 * Callers: net/stream.c, net/device.c. Lock: net_lock.
 *
 * lwIP takes the first match in tcp_active_pcbs: while it gets a segment, the list begins with the
 * connection that was found. What it may do to the list meanwhile is to take that one out (a reset,
 * the end, TIME_WAIT), as nobody opens a connection in its callbacks.
 */
#include "net/connections.h"

#include <string.h>

#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>

#include "net/packet.h"
#include "net/socket_inside.h"

#define HASH_BITS 10
#define MULTIPLIER 0x9e3779b97f4a7c15ull

static LIST_HEAD(, net_socket) sockets[1u << HASH_BITS];

/* Ports as the header of a segment to us has them: the peer's, then ours. */
static unsigned hash(uint32_t ports, uint32_t address)
{
    return (unsigned)(((uint64_t)address << 32 | ports) * MULTIPLIER >> (64 - HASH_BITS));
}

void connections_add(struct net_socket *s)
{
    const struct tcp_pcb *pcb = s->stream.pcb;
    uint32_t ports = lwip_htons(pcb->remote_port) | (uint32_t)lwip_htons(pcb->local_port) << 16;
    uint32_t address = IP_IS_V6_VAL(pcb->remote_ip) ? ip_2_ip6(&pcb->remote_ip)->addr[3]
                                                    : ip_2_ip4(&pcb->remote_ip)->addr;

    LIST_INSERT_HEAD(&sockets[hash(ports, address)], s, stream.same_hash);
}

void connections_remove(struct net_socket *s)
{
    if (!s->stream.same_hash.le_prev)
        return;
    LIST_REMOVE(s, stream.same_hash);
    s->stream.same_hash.le_prev = NULL;
}

/* Addresses with a zone are left to lwIP. */
static bool is_at(const ip_addr_t *ip, const uint8_t *address, bool is_ipv6)
{
    if (IP_IS_V6_VAL(*ip) != is_ipv6)
        return false;
    return is_ipv6 ? !ip6_addr_has_zone(ip_2_ip6(ip)) && !memcmp(ip_2_ip6(ip)->addr, address, 16)
                   : !memcmp(&ip_2_ip4(ip)->addr, address, 4);
}

/* One that is in tcp_active_pcbs, and that lwIP would find there; or NULL. */
static struct tcp_pcb *find(const struct netif *netif, const struct packet *packet)
{
    const uint8_t *addresses = packet->frame + packet->ip_start + (packet->is_ipv6 ? 8 : 12);
    unsigned bytes = packet->is_ipv6 ? 16 : 4;
    uint32_t ports, address;
    const struct net_socket *s;

    memcpy(&ports, packet->frame + packet->layer4_start, sizeof(ports));
    memcpy(&address, addresses + bytes - sizeof(address), sizeof(address));
    LIST_FOREACH(s, &sockets[hash(ports, address)], stream.same_hash)
    {
        struct tcp_pcb *pcb = s->stream.pcb;

        if (pcb->remote_port == lwip_ntohs((uint16_t)ports) &&
            pcb->local_port == lwip_ntohs((uint16_t)(ports >> 16)) && pcb->state >= ESTABLISHED &&
            pcb->state < TIME_WAIT &&
            (pcb->netif_idx == NETIF_NO_INDEX || pcb->netif_idx == netif_get_index(netif)) &&
            is_at(&pcb->remote_ip, addresses, packet->is_ipv6) &&
            is_at(&pcb->local_ip, addresses + bytes, packet->is_ipv6))
            return pcb;
    }
    return NULL;
}

void connections_input(struct netif *netif, struct pbuf *p, const struct packet *packet)
{
    struct tcp_pcb *all = tcp_active_pcbs;
    struct tcp_pcb *pcb = packet->protocol == IP_PROTO_TCP ? find(netif, packet) : NULL;

    if (pcb)
        tcp_active_pcbs = pcb;
    if (netif->input(p, netif) != ERR_OK)
        pbuf_free(p);
    if (!pcb)
        return;
    struct tcp_pcb *rest = tcp_active_pcbs, **link = &all;
    if (rest != pcb) { /* it was taken out */
        while (*link != pcb)
            link = &(*link)->next;
        *link = rest;
    }
    tcp_active_pcbs = all;
}
