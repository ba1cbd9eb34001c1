/*
 * Sockets as libc-glue sees them: plain C types, none of libc's or lwIP's socket headers.
 *
 * Behind it are lwIP's callbacks under the stack's one lock (net/core.h), not lwIP's own socket
 * layer, which finds a free socket by searching, passes each packet through a mailbox and knows
 * fewer errors.
 *
 * Results are 0 or more, or a negative errno as Linux has it. Deadlines are absolute
 * clock_monotonic_ns() values: 0 never waits, NET_FOREVER waits for ever; one that passes yields
 * -EAGAIN (net_socket_connect: -EINPROGRESS). A socket may be used by several threads at a time;
 * the caller sees to it that nobody uses one after net_socket_close. Threads only, no event
 * handlers.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FOREVER UINT64_MAX

enum net_family { NET_IPV4, NET_IPV6 };
enum net_kind { NET_STREAM, NET_DATAGRAM, NET_RAW };

/* On a socket of NET_IPV6 an IPv4 peer appears as ::ffff:a.b.c.d, and may be named so. */
struct net_address {
    enum net_family family;
    uint16_t port;       /* host byte order */
    uint32_t interface;  /* IPv6 link-local: number of the interface (net/net.h); else 0 */
    uint8_t address[16]; /* network byte order; IPv4: the first four */
};

/* Laid out as struct iovec. */
struct net_span {
    void *data;
    size_t bytes;
};

struct net_socket;

/* protocol: 0, or the IP protocol number. -EAFNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
int net_socket_open(enum net_family family, enum net_kind kind, int protocol,
                    struct net_socket **out);

/* Unread data resets the connection; what was sent goes on its way, as NET_OPTION_LINGER says. */
void net_socket_close(struct net_socket *s);

int net_socket_bind(struct net_socket *s, const struct net_address *address);
int net_socket_listen(struct net_socket *s, int backlog);
/* peer may be NULL. */
int net_socket_accept(struct net_socket *s, uint64_t deadline_ns, struct net_socket **out,
                      struct net_address *peer);
/* A datagram socket: address NULL dissolves the association. */
int net_socket_connect(struct net_socket *s, const struct net_address *address,
                       uint64_t deadline_ns);
int net_socket_shutdown(struct net_socket *s, bool receive, bool send);

/* Flags of send and receive. */
#define NET_MSG_PEEK 1     /* receive: leave it there */
#define NET_MSG_WAIT_ALL 2 /* receive, stream: until all spans are full */
#define NET_MSG_MORE 4     /* send: more follows at once */
#define NET_MSG_TRUNCATE 8 /* receive, datagram: return its full length; stream: drop the bytes */

/* Bytes sent: of a stream, what fits until the deadline; of a datagram, all. `to` may be NULL. */
long net_socket_send(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                     unsigned flags, const struct net_address *to, uint64_t deadline_ns);

/* Bytes received; 0 at a stream's end. `info` may be NULL. */
struct net_receive_info {
    struct net_address from; /* datagrams; of a stream, the peer */
    struct net_address to;   /* datagrams: the address it was sent to, and by which interface */
    bool truncated;          /* the datagram was longer */
};
long net_socket_receive(struct net_socket *s, const struct net_span *spans, unsigned nr_spans,
                        unsigned flags, struct net_receive_info *info, uint64_t deadline_ns);

/* Its own address, the peer's (-ENOTCONN). */
int net_socket_name(struct net_socket *s, struct net_address *out);
int net_socket_peer(struct net_socket *s, struct net_address *out);

enum net_option {
    NET_OPTION_REUSE_ADDRESS, /* a flag */
    NET_OPTION_BROADCAST,     /* a flag */
    NET_OPTION_KEEP_ALIVE,    /* a flag */
    NET_OPTION_KEEP_IDLE_S,
    NET_OPTION_KEEP_INTERVAL_S,
    NET_OPTION_KEEP_COUNT,
    NET_OPTION_NO_DELAY,       /* a flag */
    NET_OPTION_CORK,           /* a flag */
    NET_OPTION_LINGER,         /* seconds, or -1: off */
    NET_OPTION_SEND_BUFFER,    /* bytes */
    NET_OPTION_RECEIVE_BUFFER, /* bytes */
    NET_OPTION_TTL,            /* hop limit of unicast */
    NET_OPTION_TOS,            /* traffic class */
    NET_OPTION_IPV6_ONLY,      /* a flag; before bind */
    NET_OPTION_MULTICAST_TTL,
    NET_OPTION_MULTICAST_LOOP,      /* a flag */
    NET_OPTION_MULTICAST_INTERFACE, /* number of the interface */
    NET_OPTION_INTERFACE,           /* use this interface only; 0: any */
    NET_OPTION_ERROR,               /* get: the pending error, a positive errno, which it clears */
    NET_OPTION_MAX_SEGMENT,         /* get: of a stream, bytes */
    NET_OPTION_ACCEPTING,           /* get: whether it listens */
    NET_OPTION_UNSENT_BYTES,        /* get: not acknowledged yet (SIOCOUTQ) */
    NET_OPTION_UNREAD_BYTES,        /* get: FIONREAD; of datagrams, the next one's */
};
/* -ENOPROTOOPT: not for this kind of socket. */
int net_socket_set_option(struct net_socket *s, enum net_option option, int value);
int net_socket_get_option(struct net_socket *s, enum net_option option, int *value);
/* group.interface: by which one, 0: any. */
int net_socket_join(struct net_socket *s, const struct net_address *group, bool join);

/* Readiness, as poll() reports it. */
#define NET_READABLE 1
#define NET_WRITABLE 2
#define NET_FAILED 4       /* POLLERR */
#define NET_HUNG_UP 8      /* POLLHUP: both directions are closed */
#define NET_PEER_CLOSED 16 /* POLLRDHUP */

/* What holds now. Takes no lock: callable from anywhere, also inside the function below. */
unsigned net_socket_events(const struct net_socket *s);

/*
 * fn(arg, events) is called whenever one of these events begins or happens again (more data came
 * although there was some): in any thread, with the stack's lock held. It may wake threads, but not
 * sleep nor call any other function of this header. NULL: nobody. An accepted socket has none.
 */
void net_socket_watch(struct net_socket *s, void (*fn)(void *arg, unsigned events), void *arg);

#endif
