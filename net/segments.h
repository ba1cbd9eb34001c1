/*
 * Large segments of TCP. Private to net/. Everything under net_lock.
 *
 * Where the device cuts TCP packets (TSO), lwIP has one segment, and one header, for as many bytes
 * as fit into an IP packet; everything that counts in segments (congestion control, Nagle's rule,
 * silly windows) goes by pcb->mss, which stays the peer's. The functions here take the place of
 * lwIP's, which know no segment larger than that.
 */
#ifndef NET_SEGMENTS_H
#define NET_SEGMENTS_H

#include <lwip/tcp.h>

/* The most that the next segment may hold: at least pcb->mss. */
u16_t segments_limit(const struct tcp_pcb *pcb);
/* tcp_write, with copying, in segments of up to `limit` bytes. */
err_t segments_write(struct tcp_pcb *pcb, const void *data, u16_t bytes, u8_t flags, u16_t limit);

/* For lwIP's tcp.c and tcp_in.c (Makefile: they are compiled with these names), and for net/. */
err_t segments_output(struct tcp_pcb *pcb);
void segments_rexmit_fast(struct tcp_pcb *pcb);
void segments_rexmit_rto_commit(struct tcp_pcb *pcb);
err_t segments_split_unsent(struct tcp_pcb *pcb, u16_t bytes);

#endif
