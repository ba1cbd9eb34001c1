/*
 * Large segments of TCP, see net/segments.h.
 *
 * Callers: net/stream.c; lwIP, in place of its tcp_output, tcp_rexmit_fast, tcp_rexmit_rto_commit
 * and tcp_split_unsent_seg. Lock: net_lock.
 *
 * lwIP sends a segment when all of it fits into the window, and sends again what it had sent, as a
 * whole. So a large one is split where the window ends (fit), at what is acknowledged, and behind
 * its first pcb->mss bytes before those are sent again. A split copies what is behind it.
 */
#include "net/segments.h"

#include <lwip/ip.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>
#include <lwip/priv/tcp_priv.h>

#include "net/device.h"

/* Of a segment. With its headers it is an IP packet, and with lwIP's records a block that
 * net/memory.c keeps. */
#define LARGE_MAX_BYTES 65280u
/* A segment holds this share of the congestion window at most, so that the sending of the next does
 * not have to wait for the end of the last; but this many times pcb->mss while the window is small.
 * Less than that share of the window is worth no split while something is under way. */
#define WINDOW_SHARE 4u
#define LARGE_MIN 8u
/* What is written to a segment that has as many parts begins another: a packet's fragments are
 * limited. */
#define PARTS_MAX 8u
#define HEADERS_BYTES (IP6_HLEN + TCP_HLEN)

/* --- Writing ---------------------------------------------------------------------------------- */

static struct netif *route(const struct tcp_pcb *pcb)
{
    return pcb->netif_idx != NETIF_NO_INDEX ? netif_get_by_index(pcb->netif_idx)
                                            : ip_route(&pcb->local_ip, &pcb->remote_ip);
}

/* The device that sends it cuts segments, and no router has asked for smaller packets. */
static bool is_cut(const struct tcp_pcb *pcb, struct netif *netif)
{
    bool is_ipv6 = IP_IS_V6_VAL(pcb->remote_ip);

    return netif && net_device_cuts(netif, is_ipv6) &&
           (!is_ipv6 ||
            nd6_get_destination_mtu(ip_2_ip6(&pcb->remote_ip), netif) >= pcb->mss + HEADERS_BYTES);
}

static unsigned less(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

u16_t segments_limit(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *last = pcb->unsent;
    unsigned limit = pcb->mss, there;

    if (is_cut(pcb, route(pcb))) {
        limit = pcb->cwnd / WINDOW_SHARE;
        if (limit < LARGE_MIN * pcb->mss)
            limit = LARGE_MIN * pcb->mss;
        limit = less(less(limit, LARGE_MAX_BYTES), pcb->snd_wnd_max / 2);
        limit = limit < pcb->mss ? pcb->mss : limit - limit % pcb->mss;
    }
    if (!last)
        return (u16_t)limit;
    while (last->next)
        last = last->next;
    /* lwIP asserts that the last segment is no larger. */
    there = last->len + pcb->unsent_oversize;
    if (there >= limit || (there > pcb->mss && pbuf_clen(last->p) >= PARTS_MAX))
        return (u16_t)(there > pcb->mss ? there : pcb->mss);
    return (u16_t)limit;
}

err_t segments_write(struct tcp_pcb *pcb, const void *data, u16_t bytes, u8_t flags, u16_t limit)
{
    u16_t mss = pcb->mss;

    pcb->mss = limit;
    err_t error = tcp_write(pcb, data, bytes, flags | TCP_WRITE_FLAG_COPY);
    pcb->mss = mss;
    return error;
}

/* --- Splitting -------------------------------------------------------------------------------- */

/* The first segment in `unsent` gets as many bytes, what is behind them the next. False: no memory.
 */
static bool split(struct tcp_pcb *pcb, u16_t bytes)
{
    u16_t mss = pcb->mss;

    if (pcb->unsent->len <= bytes)
        return true;
    pcb->mss = UINT16_MAX; /* lwIP asserts that no more remains */
    err_t error = tcp_split_unsent_seg(pcb, bytes);
    pcb->mss = mss;
    if (error == ERR_OK) /* the next one has these; lwIP forgets to take them from the first */
        TCPH_UNSET_FLAG(pcb->unsent->tcphdr, TCP_FIN | TCP_PSH);
    return error == ERR_OK;
}

/* Of the first segment in `unsent`, the part that is acknowledged goes. False: no memory. */
static bool drop_acknowledged(struct tcp_pcb *pcb)
{
    struct tcp_seg *first = pcb->unsent;
    u32_t bytes = pcb->lastack - lwip_ntohl(first->tcphdr->seqno);

    if ((s32_t)bytes <= 0 || bytes >= first->len)
        return true;
    if (!split(pcb, (u16_t)bytes))
        return false;
    pcb->unsent = first->next;
    pcb->snd_queuelen -= pbuf_clen(first->p);
    pcb->snd_buf += first->len;
    tcp_seg_free(first);
    return true;
}

/* Larger than the peer's segments, and the device does not have it. */
static bool may_split(const struct tcp_pcb *pcb, const struct tcp_seg *seg)
{
    return seg && seg->len > pcb->mss && seg->p->ref == 1;
}

/* Splits the first segment in `unsent` where the window ends; true if it did. As much goes out as
 * would in small segments, but little at a time only if nothing is under way. */
static bool fit(struct tcp_pcb *pcb)
{
    if (!may_split(pcb, pcb->unsent) || !drop_acknowledged(pcb))
        return false;
    u32_t window = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);
    u32_t before = lwip_ntohl(pcb->unsent->tcphdr->seqno) - pcb->lastack;

    if (before >= window || before + pcb->unsent->len <= window)
        return false;
    u32_t room = (window - before) / pcb->mss * pcb->mss;
    if (room == 0 || (room < window / WINDOW_SHARE && pcb->unacked))
        return false;
    return split(pcb, (u16_t)room);
}

/* --- In lwIP's place -------------------------------------------------------------------------- */

static bool has_large(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *seg = pcb->unsent;

    while (seg && seg->len <= pcb->mss)
        seg = seg->next;
    return seg;
}

/* No memory to split the first one: lwIP's persist timer tries again. Nothing else would. */
static void try_later(struct tcp_pcb *pcb)
{
    if (!pcb->unacked && may_split(pcb, pcb->unsent) && pcb->persist_backoff == 0) {
        pcb->persist_cnt = 0;
        pcb->persist_backoff = 1;
        pcb->persist_probe = 0;
    }
}

err_t segments_output(struct tcp_pcb *pcb)
{
    if (pcb == tcp_input_pcb || !has_large(pcb))
        return tcp_output(pcb);
    struct netif *netif = route(pcb);
    bool cut = is_cut(pcb, netif);
    u16_t mtu = 0, mtu6 = 0;

    if (cut) { /* 0: IP fragments nothing */
        mtu = netif->mtu;
        mtu6 = netif->mtu6;
        netif->mtu = netif->mtu6 = 0;
    }
    fit(pcb);
    err_t error = tcp_output(pcb);
    if (error == ERR_OK && fit(pcb))
        error = tcp_output(pcb);
    if (cut) {
        netif->mtu = mtu;
        netif->mtu6 = mtu6;
    }
    try_later(pcb);
    return error;
}

void segments_rexmit_fast(struct tcp_pcb *pcb)
{
    struct tcp_seg *unsent = pcb->unsent;
    u16_t oversize = pcb->unsent_oversize;

    if (!(pcb->flags & TF_INFR) && may_split(pcb, pcb->unacked)) {
        pcb->unsent = pcb->unacked;
        if (drop_acknowledged(pcb))
            split(pcb, pcb->mss);
        pcb->unacked = pcb->unsent;
        pcb->unsent = unsent;
        pcb->unsent_oversize = oversize;
    }
    tcp_rexmit_fast(pcb);
}

/* lwIP sends what it has put back to `unsent`, within a window of pcb->mss. */
void segments_rexmit_rto_commit(struct tcp_pcb *pcb)
{
    fit(pcb);
    tcp_rexmit_rto_commit(pcb);
}

/* Called by the persist timer, with the window, which may be larger than lwIP expects. */
err_t segments_split_unsent(struct tcp_pcb *pcb, u16_t bytes)
{
    (void)bytes;
    if (may_split(pcb, pcb->unsent) && !drop_acknowledged(pcb))
        return ERR_MEM;
    return split(pcb, (u16_t)LWIP_MIN(pcb->snd_wnd, pcb->mss)) ? ERR_OK : ERR_MEM;
}
