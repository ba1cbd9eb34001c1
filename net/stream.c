/*
 * Stream sockets over lwIP's TCP.
 *
 * Callers: net/socket.c in threads; lwIP's callbacks. Lock: net_lock. lwIP frees a connection when
 * it likes (a reset, the end of TIME_WAIT), and says so by its extension argument's `destroy`,
 * whatever the reason: from then on `pcb` is NULL. A half-open connection belongs to its listener
 * that way.
 */
#include <errno.h>
#include <string.h>

#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include "kernel/clock.h"
#include "net/connections.h"
#include "net/device.h"
#include "net/memory.h"
#include "net/segments.h"
#include "net/socket_inside.h"

#define MIN_ALIGNED_MSS 512
#define RECVED_MAX_BYTES 0xffff /* lwIP's tcp_recved counts in 16 bits */
#define BACKLOG_MAX 4096
#define HALF_OPEN_MIN 128 /* a listener has room for as many, whatever its backlog */
#define MS_PER_S 1000u
#define TIGHT_SEGMENTS                                                                             \
    2ul /* at a time, when memory is tight; one alone waits for a delayed ACK                      \
         */

/* --- lwIP's side ----------------------------------------------------------------------------- */

#define EXTENSION 0 /* the only one: LWIP_TCP_PCB_NUM_EXT_ARGS */

/* The connection is no longer s's. */
static void lose(struct net_socket *s)
{
    connections_remove(s);
    s->stream.pcb = NULL;
}

static void connection_destroyed(u8_t id, void *data)
{
    struct net_socket *s = data;

    (void)id;
    if (s)
        lose(s);
}

static void half_open_destroyed(u8_t id, void *data)
{
    struct net_socket *listener = data;

    (void)id;
    if (listener)
        listener->stream.nr_half_open--;
}

static err_t passive_open(u8_t id, struct tcp_pcb_listen *listening, struct tcp_pcb *pcb);

static const struct tcp_ext_arg_callbacks connection_callbacks = {
    .destroy = connection_destroyed,
    .passive_open = passive_open,
};
static const struct tcp_ext_arg_callbacks half_open_callbacks = {.destroy = half_open_destroyed};

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error);
static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes);
static void on_error(void *arg, err_t error);

/* From now on the connection is s's. */
static void attach(struct net_socket *s, struct tcp_pcb *pcb)
{
    s->stream.pcb = pcb;
    tcp_ext_arg_set_callbacks(pcb, EXTENSION, &connection_callbacks);
    tcp_ext_arg_set(pcb, EXTENSION, s);
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
}

/* From now on it is nobody's. */
static struct tcp_pcb *detach(struct net_socket *s)
{
    struct tcp_pcb *pcb = s->stream.pcb;

    lose(s);
    tcp_ext_arg_set(pcb, EXTENSION, NULL);
    tcp_arg(pcb, NULL);
    if (pcb->state != LISTEN) {
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
    }
    return pcb;
}

/* The connection is gone, and so is lwIP's object. */
static void on_error(void *arg, err_t error)
{
    struct net_socket *s = arg;

    if (!s)
        return;
    lose(s);
    if (error == ERR_RST && s->stream.state == STREAM_CONNECTING)
        s->error = ECONNREFUSED;
    else if (error == ERR_RST && s->stream.ended) /* it had closed, and we wrote: as on Linux */
        s->error = EPIPE;
    else if (error != ERR_CLSD)
        s->error = -socket_errno(error);
    s->stream.state = STREAM_ENDED;
    socket_update(s, NET_READABLE | NET_WRITABLE);
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct net_socket *s = arg;

    (void)error;
    if (!p) {
        s->stream.ended = true;
    } else if (s->receive_shut) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
    } else {
        p = net_device_settle(p);
        s->unread_bytes += p->tot_len;
        if (s->stream.last)
            s->stream.last->next = p;
        else
            s->stream.first = p;
        while (p->next)
            p = p->next;
        s->stream.last = p;
    }
    socket_update(s, NET_READABLE);
    return ERR_OK;
}

/* What was written is not all acknowledged. Such a connection waits when memory is tight; the next
 * acknowledgement has it try again. */
static bool has_data(const struct tcp_pcb *pcb)
{
    return pcb->unsent || pcb->unacked;
}

/* As on Linux: writable again when a third of the buffer is free. */
static bool has_room(const struct tcp_pcb *pcb)
{
    if (net_memory_is_tight() && has_data(pcb))
        return false;
    return pcb->snd_buf >= TCP_SNDLOWAT && pcb->snd_queuelen < TCP_SNDQUEUELOWAT;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
    struct net_socket *s = arg;

    (void)bytes;
    if (has_room(pcb) && (s->stream.wants_room || !(s->events & NET_WRITABLE))) {
        s->stream.wants_room = false;
        socket_update(s, NET_WRITABLE);
    }
    return ERR_OK;
}

/*
 * Segments are copied out of what the application sends, one after the other: where a segment is a
 * multiple of 8 bytes, each copy is aligned like the first (libc-glue/memory.S says what that is
 * worth). A peer's very small segments stay as they are.
 */
static void align_segments(struct tcp_pcb *pcb)
{
    if (pcb->mss >= MIN_ALIGNED_MSS)
        pcb->mss &= (u16_t)~7u;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct net_socket *s = arg;

    (void)error;
    align_segments(pcb);
    connections_add(s);
    s->stream.state = STREAM_CONNECTED;
    socket_update(s, NET_WRITABLE);
    return ERR_OK;
}

static unsigned stream_events(struct net_socket *s)
{
    const struct tcp_pcb *pcb = s->stream.pcb;
    unsigned events = 0;

    switch (s->stream.state) {
    case STREAM_LISTENING:
        return s->stream.accept_first ? NET_READABLE : 0;
    case STREAM_NEW: /* as Linux has it */
        return NET_WRITABLE | NET_HUNG_UP;
    case STREAM_CONNECTING:
        return 0;
    case STREAM_ENDED:
        return NET_READABLE | NET_WRITABLE | NET_HUNG_UP | NET_PEER_CLOSED;
    case STREAM_CONNECTED:
        break;
    }
    if (s->unread_bytes)
        events |= NET_READABLE;
    if (s->stream.ended || s->receive_shut)
        events |= NET_READABLE | NET_PEER_CLOSED;
    if (s->send_shut || (pcb && has_room(pcb)))
        events |= NET_WRITABLE;
    if ((events & NET_PEER_CLOSED) && s->send_shut)
        events |= NET_HUNG_UP;
    return events;
}

/* --- Listening -------------------------------------------------------------------------------- */

/* The oldest half-open connection of a listener whose peers do not answer. */
static void drop_half_open(struct net_socket *listener)
{
    struct tcp_pcb *oldest = NULL;

    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (pcb->state == SYN_RCVD && pcb->ext_args[EXTENSION].data == listener &&
            pcb->ext_args[EXTENSION].callbacks == &half_open_callbacks &&
            (!oldest || (s32_t)(pcb->tmr - oldest->tmr) <= 0))
            oldest = pcb;
    }
    if (oldest)
        tcp_abandon(oldest, 0);
}

/* A SYN came. A full queue is silent, as on Linux: the peer tries again. A flood of SYNs pushes out
 * its own oldest, so that a peer who answers within a flood's length gets through. */
static err_t passive_open(u8_t id, struct tcp_pcb_listen *listening, struct tcp_pcb *pcb)
{
    struct net_socket *listener = listening->ext_args[EXTENSION].data;

    (void)id;
    if (!listener || listener->stream.nr_accept > listener->stream.backlog)
        return ERR_MEM;
    unsigned limit =
        listener->stream.backlog > HALF_OPEN_MIN ? listener->stream.backlog : HALF_OPEN_MIN;
    if (listener->stream.nr_half_open >= limit)
        drop_half_open(listener);
    listener->stream.nr_half_open++;
    tcp_ext_arg_set_callbacks(pcb, EXTENSION, &half_open_callbacks);
    tcp_ext_arg_set(pcb, EXTENSION, listener);
    return ERR_OK;
}

/* A connection is complete. */
static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct net_socket *listener = arg;

    if (!pcb || error != ERR_OK)
        return ERR_VAL;
    struct net_socket *s = listener && listener->stream.nr_accept <= listener->stream.backlog
                               ? socket_new(listener->family, NET_STREAM)
                               : NULL;
    if (!s) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    listener->stream.nr_half_open--;
    attach(s, pcb);
    align_segments(pcb);
    connections_add(s);
    s->stream.state = STREAM_CONNECTED;
    s->stream.peer = pcb->remote_ip;
    s->stream.peer_port = pcb->remote_port;
    s->ipv6_only = listener->ipv6_only;
    s->linger_s = listener->linger_s;
    s->interface = listener->interface;
    pcb->ttl = ((struct tcp_pcb *)listener->stream.pcb)->ttl;
    pcb->tos = ((struct tcp_pcb *)listener->stream.pcb)->tos;
    if (listener->cork) /* of a listener: TCP_NODELAY was set */
        tcp_nagle_disable(pcb);
    socket_update(s, 0);

    if (listener->stream.accept_last)
        listener->stream.accept_last->stream.accept_next = s;
    else
        listener->stream.accept_first = s;
    listener->stream.accept_last = s;
    listener->stream.nr_accept++;
    socket_update(listener, NET_READABLE);
    return ERR_OK;
}

static int start_listening(struct net_socket *s)
{
    struct tcp_pcb *pcb = s->stream.pcb;
    bool no_delay;
    err_t error = ERR_OK;

    if (!pcb || s->stream.state != STREAM_NEW)
        return -EINVAL;
    if (pcb->local_port == 0) { /* as on Linux: any port */
        error = tcp_bind(pcb, &pcb->local_ip, 0);
        if (error != ERR_OK)
            return socket_errno(error);
    }
    no_delay = tcp_nagle_disabled(pcb);
    struct tcp_pcb *listening;
    detach(s);
    listening = tcp_listen_with_backlog_and_err(pcb, 0, &error);
    if (!listening) {
        attach(s, pcb);
        return socket_errno(error);
    }
    s->stream.pcb = listening;
    tcp_ext_arg_set(listening, EXTENSION, s);
    tcp_arg(listening, s);
    tcp_accept(listening, on_accept);
    s->cork = no_delay;
    s->stream.state = STREAM_LISTENING;
    return 0;
}

static int stream_listen(struct net_socket *s, int backlog)
{
    int error = s->stream.state == STREAM_LISTENING ? 0 : start_listening(s);

    if (error)
        return error;
    s->stream.backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
    socket_update(s, 0);
    return 0;
}

static struct net_socket *take_accepted(struct net_socket *listener)
{
    struct net_socket *s = listener->stream.accept_first;

    if (!s)
        return NULL;
    listener->stream.accept_first = s->stream.accept_next;
    if (!listener->stream.accept_first)
        listener->stream.accept_last = NULL;
    listener->stream.nr_accept--;
    s->stream.accept_next = NULL;
    return s;
}

static int stream_accept(struct net_socket *listener, uint64_t deadline_ns, struct net_socket **out,
                         struct net_address *peer)
{
    if (listener->stream.state != STREAM_LISTENING)
        return -EINVAL;
    struct net_socket *s;

    while (!(s = take_accepted(listener))) {
        int error = socket_wait(listener, deadline_ns);
        if (error)
            return error;
        if (listener->stream.state != STREAM_LISTENING)
            return -EINVAL;
    }
    if (!listener->stream.accept_first)
        socket_update(listener, 0);
    if (peer)
        socket_address(s, &s->stream.peer, s->stream.peer_port, peer);
    *out = s;
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

static int stream_open(struct net_socket *s, int protocol)
{
    if (protocol != 0 && protocol != IP_PROTO_TCP)
        return -EPROTONOSUPPORT;
    struct tcp_pcb *pcb = tcp_new_ip_type(socket_ip_type(s));
    if (!pcb)
        return -ENOMEM;
    if (s->interface)
        tcp_bind_netif(pcb, netif_get_by_index(s->interface));
    attach(s, pcb);
    return 0;
}

static void free_unread(struct net_socket *s)
{
    struct pbuf *next;

    for (struct pbuf *p = s->stream.first; p; p = next) {
        next = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    s->stream.first = s->stream.last = NULL;
    s->unread_bytes = 0;
}

/* Waits until all is acknowledged, as long as it is to linger. */
static void linger(struct net_socket *s)
{
    uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)s->linger_s * NS_PER_SECOND;

    while (s->stream.pcb && (s->stream.pcb->unacked || s->stream.pcb->unsent)) {
        segments_output(s->stream.pcb);
        s->stream.wants_room = true;
        if (socket_wait(s, deadline_ns))
            break;
    }
}

static void stream_close(struct net_socket *s);

static void close_listener(struct net_socket *s)
{
    struct net_socket *accepted;
    struct tcp_pcb *next;

    while ((accepted = take_accepted(s))) {
        accepted->linger_s = 0;
        stream_close(accepted);
        socket_free(accepted);
    }
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = next) {
        next = pcb->next;
        if (pcb->ext_args[EXTENSION].callbacks == &half_open_callbacks &&
            pcb->ext_args[EXTENSION].data == s)
            tcp_abort(pcb);
    }
    tcp_close(detach(s));
}

/* There is one. What was sent goes on its way, unless it is to be reset. */
static void close_connection(struct net_socket *s)
{
    struct tcp_pcb *pcb = detach(s);

    if ((s->linger_s == 0 && s->stream.state != STREAM_NEW) || tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

static void stream_close(struct net_socket *s)
{
    if (s->stream.state == STREAM_LISTENING) {
        close_listener(s);
        return;
    }
    s->send_shut = true; /* nobody else may be in here, but the peer is */
    if (s->linger_s > 0)
        linger(s);
    if (s->stream.pcb)
        close_connection(s);
    free_unread(s);
}

/* One that a socket has, and that listens or not. */
static struct net_socket *first_socket(struct tcp_pcb *pcb)
{
    while (pcb && !(pcb->ext_args[EXTENSION].callbacks == &connection_callbacks &&
                    pcb->ext_args[EXTENSION].data))
        pcb = pcb->next;
    return pcb ? pcb->ext_args[EXTENSION].data : NULL;
}

void socket_finish(void)
{
    struct net_socket *s;

    while ((s = first_socket((struct tcp_pcb *)tcp_listen_pcbs.pcbs))) {
        close_listener(s);
        s->stream.state = STREAM_ENDED;
    }
    while ((s = first_socket(tcp_active_pcbs))) {
        close_connection(s);
        s->stream.state = STREAM_ENDED;
    }
}

bool socket_is_flushed(void)
{
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (pcb->state != SYN_SENT && pcb->state != SYN_RCVD && has_data(pcb))
            return false;
    }
    return true;
}

static int stream_shutdown(struct net_socket *s, bool receive, bool send)
{
    if (s->stream.state == STREAM_LISTENING) { /* as on Linux: it listens no more */
        if (receive) {
            close_listener(s);
            s->stream.state = STREAM_NEW;
            socket_update(s, NET_READABLE);
        }
        return 0;
    }
    if (s->stream.state != STREAM_CONNECTED)
        return -ENOTCONN;
    if (receive) {
        s->receive_shut = true;
        if (s->stream.pcb && s->unread_bytes) {
            for (size_t left = s->unread_bytes; left > 0;) {
                u16_t part = (u16_t)(left < RECVED_MAX_BYTES ? left : RECVED_MAX_BYTES);
                tcp_recved(s->stream.pcb, part);
                left -= part;
            }
        }
        free_unread(s);
    }
    if (send && !s->send_shut) {
        s->send_shut = true;
        if (s->stream.pcb)
            tcp_shutdown(s->stream.pcb, 0, 1);
    }
    socket_update(s, NET_READABLE | NET_WRITABLE);
    return 0;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static int stream_bind(struct net_socket *s, const ip_addr_t *ip, uint16_t port)
{
    struct tcp_pcb *pcb = s->stream.pcb;

    if (!pcb || s->stream.state != STREAM_NEW || pcb->local_port)
        return -EINVAL;
    return socket_errno(tcp_bind(pcb, ip, port));
}

static int start_connecting(struct net_socket *s, const ip_addr_t *ip, uint16_t port)
{
    if (s->stream.state == STREAM_ENDED) { /* try again, with a new object */
        int error = socket_take_error(s);
        if (error)
            return error;
        free_unread(s);
        s->stream.ended = s->send_shut = s->receive_shut = false;
        s->stream.state = STREAM_NEW;
    }
    if (!s->stream.pcb) {
        int error = stream_open(s, 0);
        if (error)
            return error;
    }
    err_t error = tcp_connect(s->stream.pcb, ip, port, on_connected);
    if (error != ERR_OK)
        return error == ERR_USE ? -EADDRNOTAVAIL : error == ERR_VAL ? -EINVAL : socket_errno(error);
    s->stream.peer = *ip;
    s->stream.peer_port = port;
    s->stream.state = STREAM_CONNECTING;
    socket_update(s, 0);
    return 0;
}

static int stream_connect(struct net_socket *s, const ip_addr_t *ip, uint16_t port,
                          uint64_t deadline_ns)
{
    switch (s->stream.state) {
    case STREAM_CONNECTED:
        return -EISCONN;
    case STREAM_LISTENING:
        return -EISCONN;
    case STREAM_CONNECTING:
        if (deadline_ns == 0)
            return -EALREADY;
        break;
    default: {
        int error = start_connecting(s, ip, port);
        if (error)
            return error;
    }
    }
    while (s->stream.state == STREAM_CONNECTING) {
        int error = socket_wait(s, deadline_ns);
        if (error)
            return error == -EINTR ? error : -EINPROGRESS;
    }
    return s->stream.state == STREAM_CONNECTED ? 0 : socket_take_error(s);
}

/* --- Data ------------------------------------------------------------------------------------- */

/* Why nothing can be sent, or 0. */
static int send_error(struct net_socket *s)
{
    if (s->error)
        return socket_take_error(s);
    if (s->stream.state == STREAM_CONNECTED && s->stream.pcb && !s->send_shut)
        return 0;
    return s->stream.state == STREAM_CONNECTING ? -EAGAIN : -EPIPE; /* never connected, too */
}

/* Copies what fits now. Returns how much, or -ENOBUFS. */
static long write_some(struct tcp_pcb *pcb, const char *data, size_t bytes, bool more)
{
    size_t room = pcb->snd_buf;

    if (net_memory_is_tight()) {
        if (has_data(pcb))
            return 0;
        if (room > TIGHT_SEGMENTS * pcb->mss)
            room = TIGHT_SEGMENTS * pcb->mss;
    }
    if (bytes > room)
        bytes = room;
    u16_t limit = bytes > pcb->mss || pcb->unsent ? segments_limit(pcb) : pcb->mss;
    if (bytes > limit)
        bytes = limit;
    if (bytes == 0 || pcb->snd_queuelen >= TCP_SND_QUEUELEN - 2)
        return 0;
    for (;;) {
        err_t error =
            segments_write(pcb, data, (u16_t)bytes, more ? TCP_WRITE_FLAG_MORE : 0, limit);
        if (error == ERR_OK)
            return (long)bytes;
        if (error != ERR_MEM)
            return socket_errno(error);
        if (bytes <= pcb->mss) /* not even one segment */
            return has_data(pcb) ? 0 : -ENOBUFS;
        bytes /= 2; /* the queue of segments, or memory, is nearly full */
    }
}

/* Unless more is to come: at once, or as Nagle says. */
static void push(struct net_socket *s, unsigned flags)
{
    struct tcp_pcb *pcb = s->stream.pcb;

    if (!pcb || s->stream.state != STREAM_CONNECTED)
        return;
    if ((s->cork || (flags & NET_MSG_MORE)) && pcb->snd_lbb - pcb->snd_nxt < pcb->mss)
        return;
    segments_output(pcb);
}

static long stream_send(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                        unsigned flags, const struct net_address *to, uint64_t deadline_ns)
{
    long sent = 0, error = 0;

    (void)to; /* as on Linux */
    while (s->stream.state == STREAM_CONNECTING) {
        error = socket_wait(s, deadline_ns);
        if (error)
            return error;
    }
    for (unsigned i = 0; i < nr_spans && !error; i++) {
        const char *data = spans[i].data;
        size_t left = spans[i].bytes;

        while (left > 0) {
            error = send_error(s);
            if (error)
                break;
            long part = write_some(s->stream.pcb, data, left,
                                   (flags & NET_MSG_MORE) || i + 1 < nr_spans || s->cork);
            if (part < 0) {
                error = part;
                break;
            }
            data += part;
            left -= (size_t)part;
            sent += part;
            if (part > 0)
                continue;
            push(s, 0);
            s->stream.wants_room = true;
            socket_update(s, 0);
            error = socket_wait(s, deadline_ns);
            if (error)
                break;
        }
    }
    if (nr_spans == 0)
        error = send_error(s);
    push(s, flags);
    if (s->stream.pcb && s->stream.state == STREAM_CONNECTED && !has_room(s->stream.pcb))
        socket_update(s, 0);
    return sent > 0 ? sent : error;
}

/* Gives room back to the peer. */
static void received(struct net_socket *s, size_t bytes)
{
    while (bytes > 0 && s->stream.pcb) {
        u16_t part = (u16_t)(bytes < RECVED_MAX_BYTES ? bytes : RECVED_MAX_BYTES);
        tcp_recved(s->stream.pcb, part);
        bytes -= part;
    }
}

/* Copies from the queue, behind `skip` bytes, and leaves it there. */
static void peek_at(const struct net_socket *s, char *to, size_t bytes, size_t skip)
{
    for (const struct pbuf *p = s->stream.first; p && bytes > 0; p = p->next) {
        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        size_t part = p->len - skip < bytes ? p->len - skip : bytes;
        memcpy(to, (const char *)p->payload + skip, part);
        to += part;
        bytes -= part;
        skip = 0;
    }
}

/* Takes as many bytes, which are there, off the queue; to NULL: throws them away. */
static void take(struct net_socket *s, char *to, size_t bytes)
{
    s->unread_bytes -= bytes;
    while (bytes > 0) {
        struct pbuf *p = s->stream.first;
        size_t part = p->len < bytes ? p->len : bytes;

        if (to) {
            memcpy(to, p->payload, part);
            to += part;
        }
        bytes -= part;
        if (part < p->len) {
            p->payload = (char *)p->payload + part;
            p->len = (u16_t)(p->len - part);
        } else {
            s->stream.first = p->next;
            if (!p->next)
                s->stream.last = NULL;
            p->next = NULL;
            p->tot_len = p->len;
            pbuf_free(p);
        }
    }
}

/* What is there now, at most what spans hold behind their first `done` bytes; returns how much. */
static size_t read_some(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                        size_t done, unsigned flags)
{
    size_t start = done, there = s->unread_bytes;

    for (unsigned i = 0; i < nr_spans && there > 0; i++) {
        if (done >= spans[i].bytes) {
            done -= spans[i].bytes;
            continue;
        }
        size_t part = spans[i].bytes - done < there ? spans[i].bytes - done : there;
        char *to = flags & NET_MSG_TRUNCATE ? NULL : (char *)spans[i].data + done;
        if (!(flags & NET_MSG_PEEK))
            take(s, to, part);
        else if (to)
            peek_at(s, to, part, s->unread_bytes - there);
        there -= part;
        start += part;
        done = 0;
    }
    return start;
}

static bool has_ended(const struct net_socket *s)
{
    return s->error || s->stream.ended || s->receive_shut || s->stream.state == STREAM_ENDED ||
           s->stream.state == STREAM_NEW || s->stream.state == STREAM_LISTENING;
}

/* What to return when there is nothing to read any more. */
static long end_result(struct net_socket *s)
{
    if (s->error)
        return socket_take_error(s);
    return s->stream.state == STREAM_NEW || s->stream.state == STREAM_LISTENING ? -ENOTCONN : 0;
}

static long stream_receive(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                           unsigned flags, struct net_receive_info *info, uint64_t deadline_ns)
{
    size_t wanted = spans_bytes(spans, nr_spans), done = 0;
    bool peek = flags & NET_MSG_PEEK;

    if (info) {
        memset(info, 0, sizeof(*info));
        socket_address(s, &s->stream.peer, s->stream.peer_port, &info->from);
    }
    for (;;) {
        if (s->unread_bytes > 0) {
            size_t before = peek ? 0 : done;
            done = read_some(s, spans, nr_spans, before, flags);
            if (!peek)
                received(s, done - before);
        }
        if (done == wanted || (done > 0 && !(flags & NET_MSG_WAIT_ALL)))
            break;
        if (has_ended(s)) {
            if (done == 0)
                return end_result(s);
            break;
        }
        int error = socket_wait(s, deadline_ns);
        if (error) {
            if (done == 0)
                return error;
            break;
        }
    }
    if (!peek && s->unread_bytes == 0)
        socket_update(s, 0);
    return (long)done;
}

static int stream_name(struct net_socket *s, bool peer, ip_addr_t *ip, uint16_t *port)
{
    if (peer) {
        if (s->stream.state != STREAM_CONNECTED)
            return -ENOTCONN;
        *ip = s->stream.peer;
        *port = s->stream.peer_port;
    } else if (s->stream.pcb) {
        *ip = s->stream.pcb->local_ip;
        *port = s->stream.pcb->local_port;
    } else {
        *ip = s->family == NET_IPV4 ? *IP4_ADDR_ANY : *IP6_ADDR_ANY;
        *port = 0;
    }
    return 0;
}

/* --- Options ---------------------------------------------------------------------------------- */

static void set_flag(struct tcp_pcb *pcb, u8_t flag, bool on)
{
    if (on)
        ip_set_option(pcb, flag);
    else
        ip_reset_option(pcb, flag);
}

static int set_keep(u32_t *field, int value, u32_t unit)
{
    if (value < 1 || value > 32767)
        return -EINVAL;
    *field = (u32_t)value * unit;
    return 0;
}

static int stream_set_option(struct net_socket *s, enum net_option option, int value)
{
    struct tcp_pcb *pcb = s->stream.pcb;

    if (option == NET_OPTION_LINGER) {
        s->linger_s = value < 0 ? -1 : value;
        return 0;
    }
    if (!pcb) /* the connection is gone: too late to matter */
        return 0;
    bool listening = s->stream.state == STREAM_LISTENING;
    switch (option) {
    case NET_OPTION_REUSE_ADDRESS:
        set_flag(pcb, SOF_REUSEADDR, value);
        return 0;
    case NET_OPTION_BROADCAST: /* means nothing, but is remembered */
        set_flag(pcb, SOF_BROADCAST, value);
        return 0;
    case NET_OPTION_KEEP_ALIVE:
        set_flag(pcb, SOF_KEEPALIVE, value);
        return 0;
    case NET_OPTION_KEEP_IDLE_S:
        return listening ? 0 : set_keep(&pcb->keep_idle, value, MS_PER_S);
    case NET_OPTION_KEEP_INTERVAL_S:
        return listening ? 0 : set_keep(&pcb->keep_intvl, value, MS_PER_S);
    case NET_OPTION_KEEP_COUNT:
        return listening ? 0 : set_keep(&pcb->keep_cnt, value, 1);
    case NET_OPTION_NO_DELAY:
        if (listening) {
            s->cork = value;
            return 0;
        }
        if (!value) {
            tcp_nagle_enable(pcb);
        } else {
            tcp_nagle_disable(pcb);
            if (s->stream.state == STREAM_CONNECTED)
                segments_output(pcb);
        }
        return 0;
    case NET_OPTION_CORK:
        if (listening)
            return 0;
        s->cork = value;
        if (!value && s->stream.state == STREAM_CONNECTED)
            segments_output(pcb);
        return 0;
    case NET_OPTION_TTL:
        if (value < 1 || value > 255)
            return -EINVAL;
        pcb->ttl = (u8_t)value;
        return 0;
    case NET_OPTION_TOS:
        pcb->tos = (u8_t)value;
        return 0;
    case NET_OPTION_IPV6_ONLY:
        if (s->family != NET_IPV6)
            return -ENOPROTOOPT;
        if (s->stream.state != STREAM_NEW || pcb->local_port)
            return -EINVAL;
        s->ipv6_only = value;
        IP_SET_TYPE_VAL(pcb->local_ip, socket_ip_type(s));
        IP_SET_TYPE_VAL(pcb->remote_ip, socket_ip_type(s));
        return 0;
    case NET_OPTION_INTERFACE:
        tcp_bind_netif(pcb, s->interface ? netif_get_by_index(s->interface) : NULL);
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int stream_get_option(struct net_socket *s, enum net_option option, int *value)
{
    const struct tcp_pcb *pcb = s->stream.pcb;
    bool listening = s->stream.state == STREAM_LISTENING;

    switch (option) {
    case NET_OPTION_LINGER:
        *value = s->linger_s;
        return 0;
    case NET_OPTION_ACCEPTING:
        *value = listening;
        return 0;
    case NET_OPTION_UNREAD_BYTES:
        *value = (int)s->unread_bytes;
        return listening ? -EINVAL : 0;
    case NET_OPTION_UNSENT_BYTES:
        *value = pcb && !listening ? (int)(TCP_SND_BUF - pcb->snd_buf) : 0;
        return listening ? -EINVAL : 0;
    case NET_OPTION_CORK:
        *value = s->cork && !listening;
        return 0;
    case NET_OPTION_REUSE_ADDRESS:
        *value = pcb && ip_get_option(pcb, SOF_REUSEADDR) != 0;
        return 0;
    case NET_OPTION_BROADCAST:
        *value = pcb && ip_get_option(pcb, SOF_BROADCAST) != 0;
        return 0;
    case NET_OPTION_KEEP_ALIVE:
        *value = pcb && ip_get_option(pcb, SOF_KEEPALIVE) != 0;
        return 0;
    case NET_OPTION_NO_DELAY:
        *value = listening ? s->cork : pcb && tcp_nagle_disabled(pcb);
        return 0;
    case NET_OPTION_TTL:
        *value = pcb ? pcb->ttl : IP_DEFAULT_TTL;
        return 0;
    case NET_OPTION_TOS:
        *value = pcb ? pcb->tos : 0;
        return 0;
    case NET_OPTION_MAX_SEGMENT:
        *value = pcb && !listening ? tcp_mss(pcb) : TCP_MSS;
        return 0;
    case NET_OPTION_KEEP_IDLE_S:
        *value = (int)((pcb && !listening ? pcb->keep_idle : TCP_KEEPIDLE_DEFAULT) / MS_PER_S);
        return 0;
    case NET_OPTION_KEEP_INTERVAL_S:
        *value = (int)((pcb && !listening ? pcb->keep_intvl : TCP_KEEPINTVL_DEFAULT) / MS_PER_S);
        return 0;
    case NET_OPTION_KEEP_COUNT:
        *value = (int)(pcb && !listening ? pcb->keep_cnt : TCP_KEEPCNT_DEFAULT);
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

const struct socket_kind socket_stream = {
    .open = stream_open,
    .bind = stream_bind,
    .listen = stream_listen,
    .accept = stream_accept,
    .connect = stream_connect,
    .shutdown = stream_shutdown,
    .send = stream_send,
    .receive = stream_receive,
    .name = stream_name,
    .set_option = stream_set_option,
    .get_option = stream_get_option,
    .close = stream_close,
    .events = stream_events,
};
