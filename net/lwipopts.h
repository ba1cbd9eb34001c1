/*
 * How lwIP is configured (lwip/opt.h explains every name).
 *
 * lwIP is used by its callbacks, under one lock (net/core.h); its own threads, mailboxes and
 * sockets are left out. No pool has a fixed size: memory comes from net/memory.c, which bounds all
 * of it together by the guest's memory.
 */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

/* Threads: whoever calls lwIP holds net_lock. */
#define NO_SYS 1
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define SYS_LIGHTWEIGHT_PROT 0
void net_assert_locked(void);
#ifdef NET_CHECK_LOCK
#define LWIP_ASSERT_CORE_LOCKED() net_assert_locked()
#endif

/* Memory. */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC net_memory_alloc
#define MEM_CUSTOM_CALLOC net_memory_alloc_zeroed
#define MEM_CUSTOM_FREE net_memory_free
#ifndef __ASSEMBLER__
#include <stddef.h>
void *net_memory_alloc(size_t bytes);
void *net_memory_alloc_zeroed(size_t count, size_t bytes);
void net_memory_free(void *memory);
#endif
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1  /* they compare sizes of pools */
#define LWIP_DISABLE_MEMP_SANITY_CHECKS 1 /* likewise */
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_PBUF_CUSTOM_DATA u16_t segment_bytes; /* net/hooks.h */
#define LWIP_PBUF_CUSTOM_DATA_INIT(p) ((p)->segment_bytes = 0)
#define PBUF_LINK_ENCAPSULATION_HLEN 12 /* NETDEV_HEADROOM */

/* Interfaces. */
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPIF_MULTICAST 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_HWADDRHINT 1 /* a connection remembers its peer's place in the ARP table */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ETHARP_TRUST_IP_MAC 0

/* IP. */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 256 /* a few datagrams of 64 KiB */
#define IP_DEFAULT_TTL 64
#define LWIP_RAW 1
#define LWIP_IGMP 1
#define LWIP_IPV6_NUM_ADDRESSES 4
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define IPV6_FRAG_COPYHEADER 1 /* pointers are larger than a header's spare fields */
#define IP_SOF_BROADCAST 1

/* Configuration. An address that the server hands out is not probed for: that takes seconds. */
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 4
#define DNS_TABLE_SIZE 16

/*
 * TCP. The window is what one connection may have under way or unread. A segment's size follows
 * from the interface's MTU; TCP_MSS is for jumbo frames and loopback.
 */
#define TCP_MSS 8960
#define TCP_WND (256 * 1024)
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN 1024
#define TCP_OVERSIZE 1456 /* allocated behind a short write, when another may follow it at once */
#define TCP_SNDLOWAT (TCP_SND_BUF / 3)
#define TCP_SNDQUEUELOWAT (TCP_SND_QUEUELEN / 2)
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define SO_REUSE 1
#define TCP_LISTEN_BACKLOG 0 /* one byte there; ours counts further (net/stream.c) */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
/* The fast timer (delayed acknowledgements) runs at this interval, the slow one (retransmission,
 * three ticks at least) at twice that: near 40 ms and 200 ms, as others have it. */
#define TCP_TMR_INTERVAL 50
#define LWIP_TCP_RTO_TIME 1000 /* RFC 6298, 2.1 */
#define TCP_MSL 15000          /* TIME_WAIT takes twice that */

/* Hooks and statistics. */
#define LWIP_HOOK_FILENAME "net/hooks.h"
#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define LINK_STATS 0
#define ETHARP_STATS 0
#define IGMP_STATS 0
#define MLD6_STATS 0
#define ND6_STATS 0
#define MEM_STATS 0
#define MEMP_STATS 0
#define SYS_STATS 0

#endif
