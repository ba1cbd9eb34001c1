/*
 * Frames on their way out, see net/packet.h. Pure functions.
 */
#include "net/packet.h"

#include <string.h>

#include <lwip/def.h>
#include <lwip/inet_chksum.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ethernet.h>
#include <lwip/prot/ip.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>
#include <lwip/prot/udp.h>

#include "net/checksum.h"

#define UDP_CHECKSUM_OFFSET 6
#define TCP_CHECKSUM_OFFSET 16
#define IPV4_ADDRESSES_OFFSET 12
#define IPV6_ADDRESSES_OFFSET 8
/* Of the TCP header, what may differ between packets that become one: the sequence number (4..7)
 * and PSH in the flags; the checksum, not yet there. */
#define TCP_SEQUENCE_OFFSET 4
#define TCP_ACKNOWLEDGED_OFFSET 8
#define TCP_FLAGS_OFFSET 13

static bool parse_ipv4(const struct pbuf *p, struct packet *out)
{
    const struct ip_hdr *ip = (const struct ip_hdr *)(out->frame + out->ip_start);

    if (p->len < out->ip_start + IP_HLEN || IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF))
        return false;
    out->protocol = IPH_PROTO(ip);
    out->layer4_start = (uint16_t)(out->ip_start + IPH_HL_BYTES(ip));
    out->bytes = (uint16_t)(out->ip_start + lwip_ntohs(IPH_LEN(ip)));
    return true;
}

static bool parse_ipv6(const struct pbuf *p, struct packet *out)
{
    const struct ip6_hdr *ip = (const struct ip6_hdr *)(out->frame + out->ip_start);

    if (p->len < out->ip_start + IP6_HLEN)
        return false;
    out->is_ipv6 = true;
    out->protocol = IP6H_NEXTH(ip);
    out->layer4_start = (uint16_t)(out->ip_start + IP6_HLEN);
    out->bytes = (uint16_t)(out->layer4_start + IP6H_PLEN(ip));
    return true;
}

void packet_parse(const struct pbuf *p, struct packet *out)
{
    const struct eth_hdr *ethernet = p->payload;

    *out = (struct packet){.frame = p->payload, .ip_start = SIZEOF_ETH_HDR};
    bool ok = ethernet->type == PP_HTONS(ETHTYPE_IP)     ? parse_ipv4(p, out)
              : ethernet->type == PP_HTONS(ETHTYPE_IPV6) ? parse_ipv6(p, out)
                                                         : false;
    if (ok && out->protocol == IP_PROTO_TCP && p->len >= out->layer4_start + TCP_HLEN) {
        const struct tcp_hdr *tcp = (const struct tcp_hdr *)(out->frame + out->layer4_start);
        out->payload_start = (uint16_t)(out->layer4_start + TCPH_HDRLEN_BYTES(tcp));
        if (p->len >= out->payload_start)
            return;
    } else if (ok && out->protocol == IP_PROTO_UDP && p->len >= out->layer4_start + UDP_HLEN) {
        return;
    }
    out->protocol = 0;
}

uint16_t packet_prepare_checksum(const struct packet *packet, unsigned layer4_bytes)
{
    const uint8_t *ip = packet->frame + packet->ip_start;
    uint16_t offset = packet->protocol == IP_PROTO_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
    uint32_t total = packet->is_ipv6 ? net_checksum(ip + IPV6_ADDRESSES_OFFSET, 32)
                                     : net_checksum(ip + IPV4_ADDRESSES_OFFSET, 8);

    total += lwip_htons(packet->protocol) + lwip_htons((uint16_t)layer4_bytes);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    uint16_t folded = (uint16_t)total;
    memcpy(packet->frame + packet->layer4_start + offset, &folded, sizeof(folded));
    return offset;
}

uint32_t packet_sequence(const struct packet *packet)
{
    uint32_t sequence;

    memcpy(&sequence, packet->frame + packet->layer4_start + TCP_SEQUENCE_OFFSET, sizeof(sequence));
    return lwip_ntohl(sequence);
}

uint8_t *packet_tcp_flags(const struct packet *packet)
{
    return packet->frame + packet->layer4_start + TCP_FLAGS_OFFSET;
}

/* For a few bytes: the C library's memcmp goes byte by byte where alignments differ. */
static bool differ(const uint8_t *a, const uint8_t *b, unsigned bytes)
{
    for (; bytes >= 8; a += 8, b += 8, bytes -= 8) {
        uint64_t first, second;

        memcpy(&first, a, 8);
        memcpy(&second, b, 8);
        if (first != second)
            return true;
    }
    for (; bytes > 0; a++, b++, bytes--)
        if (*a != *b)
            return true;
    return false;
}

bool packet_continues(const struct packet *first, const struct packet *next, uint32_t next_sequence)
{
    const uint8_t *a = first->frame, *b = next->frame;
    unsigned addresses = first->is_ipv6 ? IPV6_ADDRESSES_OFFSET : IPV4_ADDRESSES_OFFSET;
    unsigned tcp = first->layer4_start;

    if (next->protocol != IP_PROTO_TCP || next->is_ipv6 != first->is_ipv6 ||
        next->layer4_start != tcp || next->payload_start != first->payload_start ||
        packet_sequence(next) != next_sequence)
        return false;
    /* Ethernet header; service and hops, which IPv4 has at 1 and 8, IPv6 at 0..1 and 7; addresses;
     * ports; what is acknowledged; window; options. */
    return !differ(a, b, first->ip_start) && a[first->ip_start + 1] == b[first->ip_start + 1] &&
           a[first->ip_start + (first->is_ipv6 ? 7 : 8)] ==
               b[first->ip_start + (first->is_ipv6 ? 7 : 8)] &&
           !differ(a + first->ip_start + addresses, b + first->ip_start + addresses,
                   tcp - first->ip_start - addresses + TCP_SEQUENCE_OFFSET) &&
           !differ(a + tcp + TCP_ACKNOWLEDGED_OFFSET, b + tcp + TCP_ACKNOWLEDGED_OFFSET,
                   TCP_FLAGS_OFFSET - TCP_ACKNOWLEDGED_OFFSET) &&
           ((a[tcp + TCP_FLAGS_OFFSET] ^ b[tcp + TCP_FLAGS_OFFSET]) & ~TCP_PSH) == 0 &&
           !differ(a + tcp + TCP_FLAGS_OFFSET + 1, b + tcp + TCP_FLAGS_OFFSET + 1, 2) &&
           !differ(a + tcp + TCP_HLEN, b + tcp + TCP_HLEN, first->payload_start - tcp - TCP_HLEN);
}

void packet_set_bytes(const struct packet *packet, unsigned bytes)
{
    uint8_t *ip = packet->frame + packet->ip_start;

    if (packet->is_ipv6) {
        IP6H_PLEN_SET((struct ip6_hdr *)ip, (u16_t)(bytes - packet->layer4_start));
        return;
    }
    IPH_LEN_SET((struct ip_hdr *)ip, lwip_htons((u16_t)(bytes - packet->ip_start)));
    IPH_CHKSUM_SET((struct ip_hdr *)ip, 0);
    IPH_CHKSUM_SET((struct ip_hdr *)ip,
                   inet_chksum(ip, (u16_t)(packet->layer4_start - packet->ip_start)));
}
