/*
 * ICMP messages that say that nobody has a UDP port: lwIP does not pass them on.
 *
 * Callers: the input hooks (net/hooks.h), for every packet, under net_lock. The packet is
 * untrusted; its checksum is not looked at, for who can send it can send a right one. Source: RFC
 * 792; RFC 4443, 3.1; RFC 1122, 4.1.3.3.
 */
#include <string.h>

#include <lwip/icmp.h>
#include <lwip/ip.h>
#include <lwip/prot/icmp6.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/udp.h>

#include "net/hooks.h"
#include "net/socket_inside.h"

#define ICMP_HEADER_BYTES 8 /* of both; then comes the packet that nobody took */

static void report(const ip_addr_t *peer, const struct udp_hdr *udp)
{
    socket_unreachable(peer, lwip_ntohs(udp->dest), lwip_ntohs(udp->src));
}

void net_unreachable_ip4(const struct pbuf *p)
{
    const struct ip_hdr *ip = p->payload;
    unsigned at = IPH_HL_BYTES(ip);
    const uint8_t *bytes = p->payload;

    if (p->len < at + ICMP_HEADER_BYTES + IP_HLEN || bytes[at] != ICMP_DUR ||
        bytes[at + 1] != ICMP_DUR_PORT)
        return;
    const struct ip_hdr *sent = (const struct ip_hdr *)(bytes + at + ICMP_HEADER_BYTES);
    at += ICMP_HEADER_BYTES + IPH_HL_BYTES(sent);
    if (p->len < at + UDP_HLEN || IPH_PROTO(sent) != IP_PROTO_UDP)
        return;
    ip_addr_t peer;
    ip_addr_copy_from_ip4(peer, sent->dest);
    report(&peer, (const struct udp_hdr *)(bytes + at));
}

void net_unreachable_ip6(const struct pbuf *p, struct netif *in)
{
    const uint8_t *bytes = p->payload;
    const unsigned at = IP6_HLEN + ICMP_HEADER_BYTES;

    if (p->len < at + IP6_HLEN + UDP_HLEN || bytes[IP6_HLEN] != ICMP6_TYPE_DUR ||
        bytes[IP6_HLEN + 1] != ICMP6_DUR_PORT)
        return;
    const struct ip6_hdr *sent = (const struct ip6_hdr *)(bytes + at);
    if (IP6H_NEXTH(sent) != IP6_NEXTH_UDP)
        return;
    ip_addr_t peer;
    ip_addr_copy_from_ip6_packed(peer, sent->dest);
    ip6_addr_assign_zone(ip_2_ip6(&peer), IP6_UNICAST, in);
    report(&peer, (const struct udp_hdr *)(sent + 1));
}
