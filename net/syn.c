/*
 * The input hooks; of them, what a SYN means to a connection that is in TIME_WAIT here.
 *
 * Callers: lwIP's IP input, for every packet, under net_lock. lwIP answers such a SYN with an
 * acknowledgement of the old connection, as RFC 9293, 3.10.7.4 has it at first, and the new one
 * begins only when the peer has sent its SYN again, a second later. A client that makes many short
 * connections to one port comes round to the same ports within TIME_WAIT. RFC 9293, 3.6.1 (and RFC
 * 1122, 4.2.2.13) permit to begin at once if the new sequence number lies beyond the old
 * connection's: the old one is forgotten here, and lwIP finds a listener only.
 */
#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ip.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>

#include "net/hooks.h"

/* Connections in TIME_WAIT beyond this number end early, the oldest first: each SYN is compared
 * with all of them, here and in lwIP. Looked at after every so many SYNs. */
#define TIME_WAIT_MAX 256
#define TIME_WAIT_LOOK 64

static void forget(struct tcp_pcb *pcb)
{
    tcp_pcb_remove(&tcp_tw_pcbs, pcb);
    tcp_free(pcb);
}

/* New ones are put in front. */
static void limit_time_wait(void)
{
    static unsigned count;
    struct tcp_pcb *pcb = tcp_tw_pcbs;

    if (count++ % TIME_WAIT_LOOK)
        return;
    for (unsigned i = 1; pcb && i < TIME_WAIT_MAX; i++)
        pcb = pcb->next;
    while (pcb && pcb->next)
        forget(pcb->next);
}

/* ports: source and destination, in network order. */
static void new_connection(const ip_addr_t *from, const ip_addr_t *to, const struct tcp_hdr *tcp)
{
    u16_t source = lwip_ntohs(tcp->src), destination = lwip_ntohs(tcp->dest);
    struct tcp_pcb *pcb = tcp_tw_pcbs;

    while (pcb && !(pcb->remote_port == source && pcb->local_port == destination &&
                    ip_addr_eq(&pcb->remote_ip, from) && ip_addr_eq(&pcb->local_ip, to)))
        pcb = pcb->next;
    if (pcb && TCP_SEQ_GT(lwip_ntohl(tcp->seqno), pcb->rcv_nxt))
        forget(pcb);
    limit_time_wait();
}

int net_ip4_input_hook(struct pbuf *p, struct netif *in)
{
    const struct ip_hdr *ip = p->payload;
    u16_t header_bytes;

    (void)in;
    if (p->len >= IP_HLEN && IPH_PROTO(ip) == IP_PROTO_ICMP)
        net_unreachable_ip4(p);
    if (p->len < IP_HLEN || IPH_PROTO(ip) != IP_PROTO_TCP)
        return 0;
    header_bytes = IPH_HL_BYTES(ip);
    if (p->len < header_bytes + TCP_HLEN || (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK)))
        return 0;
    const struct tcp_hdr *tcp = (const struct tcp_hdr *)((const char *)ip + header_bytes);
    if ((TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && tcp_tw_pcbs) {
        ip_addr_t from, to;
        ip_addr_copy_from_ip4(from, ip->src);
        ip_addr_copy_from_ip4(to, ip->dest);
        new_connection(&from, &to, tcp);
    }
    return 0;
}

int net_ip6_input_hook(struct pbuf *p, struct netif *in)
{
    const struct ip6_hdr *ip = p->payload;

    if (p->len >= IP6_HLEN && IP6H_NEXTH(ip) == IP6_NEXTH_ICMP6)
        net_unreachable_ip6(p, in);
    if (p->len < IP6_HLEN + TCP_HLEN || IP6H_NEXTH(ip) != IP_PROTO_TCP)
        return 0;
    const struct tcp_hdr *tcp = (const struct tcp_hdr *)(ip + 1);
    if ((TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && tcp_tw_pcbs) {
        ip_addr_t from, to;
        ip_addr_copy_from_ip6_packed(from, ip->src);
        ip_addr_copy_from_ip6_packed(to, ip->dest);
        ip6_addr_assign_zone(ip_2_ip6(&from), IP6_UNICAST, in);
        ip6_addr_assign_zone(ip_2_ip6(&to), IP6_UNICAST, in);
        new_connection(&from, &to, tcp);
    }
    return 0;
}
