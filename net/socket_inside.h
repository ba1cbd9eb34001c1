/*
 * The inside of sockets: what net/socket.c, stream.c and datagram.c share. Everything under
 * net_lock.
 */
#ifndef NET_SOCKET_INSIDE_H
#define NET_SOCKET_INSIDE_H

#include <stdatomic.h>
#include <sys/queue.h>

#include <lwip/err.h>
#include <lwip/ip_addr.h>

#include "kernel/sync.h"
#include "net/socket.h"

struct pbuf;
struct tcp_pcb;
struct udp_pcb;
struct raw_pcb;
struct datagram;

enum stream_state {
    STREAM_NEW, /* or bound */
    STREAM_LISTENING,
    STREAM_CONNECTING,
    STREAM_CONNECTED,
    STREAM_ENDED, /* it was connected, or tried to be */
};

/* What differs between streams and datagrams. Deadlines: see net/socket.h. */
struct socket_kind {
    int (*open)(struct net_socket *s, int protocol);
    int (*bind)(struct net_socket *s, const ip_addr_t *ip, uint16_t port);
    int (*listen)(struct net_socket *s, int backlog); /* NULL: no such thing */
    int (*accept)(struct net_socket *s, uint64_t deadline_ns, struct net_socket **out,
                  struct net_address *peer);
    int (*connect)(struct net_socket *s, const ip_addr_t *ip, uint16_t port, uint64_t deadline_ns);
    int (*shutdown)(struct net_socket *s, bool receive, bool send);
    long (*send)(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                 unsigned flags, const struct net_address *to, uint64_t deadline_ns);
    long (*receive)(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                    unsigned flags, struct net_receive_info *info, uint64_t deadline_ns);
    int (*name)(struct net_socket *s, bool peer, ip_addr_t *ip, uint16_t *port);
    int (*set_option)(struct net_socket *s, enum net_option option, int value);
    int (*get_option)(struct net_socket *s, enum net_option option, int *value);
    void (*close)(struct net_socket *s);      /* frees all but the socket itself */
    unsigned (*events)(struct net_socket *s); /* but for what `error` brings */
};
extern const struct socket_kind socket_stream, socket_datagram, socket_raw;

struct net_socket {
    const struct socket_kind *kind;
    enum net_family family;
    _Atomic unsigned events; /* read without the lock */
    void (*watcher)(void *arg, unsigned events);
    void *watcher_arg;
    struct cond changed; /* after every change of events */
    int error;           /* pending, a positive errno */
    bool ipv6_only, receive_shut, send_shut, cork;
    int linger_s;                    /* -1: off */
    int send_buffer, receive_buffer; /* as asked for */
    uint8_t interface;               /* lwIP's number, 0: any */
    size_t unread_bytes;
    union {
        struct {
            enum stream_state state;
            struct tcp_pcb *pcb;       /* NULL when lwIP has freed it */
            struct pbuf *first, *last; /* received; linked by next only, tot_len means nothing */
            bool ended;                /* the peer's FIN came */
            bool wants_room;           /* somebody waits to send, or was told to try again */
            uint16_t peer_port;        /* of an ended one, too */
            ip_addr_t peer;
            LIST_ENTRY(net_socket) same_hash; /* net/connections.c */
            /* Listening. */
            struct net_socket *accept_first, *accept_last;
            unsigned backlog, nr_accept, nr_half_open;
            struct net_socket *accept_next; /* in its listener's queue */
        } stream;
        struct {
            union {
                struct udp_pcb *udp;
                struct raw_pcb *raw;
            };
            struct datagram *first, *last;
            bool is_connected;
        } datagram;
    };
};

struct net_socket *socket_new(enum net_family family, enum net_kind kind);
void socket_free(struct net_socket *s);
/* Recomputes the events, and tells whoever waits of new ones and of those in `happened`. */
void socket_update(struct net_socket *s, unsigned happened);
/* Waits for a change. 0: look again; -EAGAIN, -EINTR. */
int socket_wait(struct net_socket *s, uint64_t deadline_ns);
/* Returns the pending error (negative, or 0) and clears it. */
int socket_take_error(struct net_socket *s);
int socket_errno(err_t error);
/* The type of its lwIP object. */
uint8_t socket_ip_type(const struct net_socket *s);
/* As its user sees it: an IPv6 socket has IPv4 addresses mapped. */
void socket_address(const struct net_socket *s, const ip_addr_t *ip, uint16_t port,
                    struct net_address *out);
/* -EAFNOSUPPORT, -EINVAL: not for this socket. */
int socket_ip(const struct net_socket *s, const struct net_address *address, ip_addr_t *out);

/* net/stream.c: at the guest's end. Closes every connection and listener, whoever is in there; and
 * whether the peers have acknowledged all that was sent. */
void socket_finish(void);
bool socket_is_flushed(void);

/* net/datagram.c: what an ICMP message (net/unreachable.c) means to connected sockets. */
void socket_unreachable(const ip_addr_t *peer, uint16_t peer_port, uint16_t own_port);

static inline size_t spans_bytes(const struct net_span *spans, unsigned nr_spans)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < nr_spans; i++)
        bytes += spans[i].bytes;
    return bytes;
}

#endif
