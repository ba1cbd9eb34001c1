/*
 * Frames on their way out, see net/packet.h. Pure functions.
 */
#include "net/packet.h"

#include <string.h>

#include <lwip/def.h>
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
