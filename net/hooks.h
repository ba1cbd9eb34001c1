/*
 * What lwIP calls of ours, where lwipopts.h names this file. Under net_lock.
 */
#ifndef NET_HOOKS_H
#define NET_HOOKS_H

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>

struct netif;
struct tcp_pcb;

/* net/random.c */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port);
#define LWIP_HOOK_TCP_ISN net_tcp_isn

/* net/syn.c: nonzero: taken care of. */
int net_ip4_input_hook(struct pbuf *p, struct netif *in);
int net_ip6_input_hook(struct pbuf *p, struct netif *in);
/* net/unreachable.c: of an ICMP packet whose IP header is complete. */
void net_unreachable_ip4(const struct pbuf *p);
void net_unreachable_ip6(const struct pbuf *p, struct netif *in);
#define LWIP_HOOK_IP4_INPUT net_ip4_input_hook
#define LWIP_HOOK_IP6_INPUT net_ip6_input_hook

/* net/interface.c: the gateway that the command line names, or NULL. */
const ip6_addr_t *net_ip6_gateway(struct netif *netif, const ip6_addr_t *destination);
#define LWIP_HOOK_ND6_GET_GW net_ip6_gateway

/* For net/device.c: into what size the device cuts a TCP packet that is larger. No option is added.
 */
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS(p, header, pcb, options)                                     \
    ((p)->segment_bytes = (pcb) ? (pcb)->mss : 0, (options))

#endif
