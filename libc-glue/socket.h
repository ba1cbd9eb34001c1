/*
 * Sockets as files: the inside of the files socket*.c.
 */
#ifndef LIBC_GLUE_SOCKET_H
#define LIBC_GLUE_SOCKET_H

#include <sys/socket.h>

#include "libc-glue/file.h"
#include "net/socket.h"

struct socket {
    struct file file;       /* first */
    struct net_socket *net; /* NULL: of AF_UNIX, the end of a pair */
    int family, type, protocol;
    _Atomic uint64_t receive_timeout_ns, send_timeout_ns; /* 0: none */
    atomic_bool wants_packet_info;                        /* IP_PKTINFO, IPV6_RECVPKTINFO */
    atomic_bool reuse_port;                               /* SO_REUSEPORT, of a stream */
    struct mutex memberships_lock;
    SLIST_HEAD(, membership) memberships; /* libc-glue/socket_option.c */
};

/* The socket that fd names, with a reference to its file. -EBADF, -ENOTSOCK. */
int socket_get(int fd, struct socket **out);
/* Likewise, one of the network. -EOPNOTSUPP: of AF_UNIX. */
int socket_get_net(int fd, struct socket **out);
static inline void socket_put(struct socket *s)
{
    file_put(&s->file);
}

/* Until when a call with these flags (MSG_DONTWAIT) waits. */
uint64_t socket_receive_deadline(const struct socket *s, int flags);
uint64_t socket_send_deadline(const struct socket *s, int flags);

/* libc-glue/socket_transfer.c: behind read and write, too. */
ssize_t socket_send(struct socket *s, const struct msghdr *message, int flags);
ssize_t socket_receive(struct socket *s, struct msghdr *message, int flags);

/* libc-glue/socket_option.c: nobody else uses s any more. */
void socket_leave_groups(struct socket *s);

/* libc-glue/socket.c: what all sockets do as files. */
ssize_t socket_read(struct file *file, const struct iovec *to, int count, off_t *position);
ssize_t socket_write(struct file *file, const struct iovec *from, int count, off_t *position);
int socket_stat(struct file *file, struct stat *out);

/* --- AF_UNIX (libc-glue/socket_pair.c) ----------------------------------------------------------
 */

extern const struct file_ops socket_pair_ops;

ssize_t socket_pair_send(struct socket *s, const struct msghdr *message, int flags);
ssize_t socket_pair_receive(struct socket *s, struct msghdr *message, int flags);
void socket_pair_shutdown(struct socket *s, bool receive, bool send);
int socket_pair_error(struct socket *s); /* SO_ERROR: a positive errno, which it clears, or 0 */
int socket_pair_buffer_bytes(void);      /* SO_SNDBUF, SO_RCVBUF */

/* --- Addresses (libc-glue/socket_address.c) -----------------------------------------------------
 */

/* -EINVAL: too short; -EAFNOSUPPORT: not of this family. */
int socket_address_in(int family, const struct sockaddr *address, socklen_t bytes,
                      struct net_address *out);
/* What fits of it; its whole length. */
socklen_t socket_address_out(const struct net_address *address, void *to, socklen_t room);
/* To where accept and its like store one: *bytes is the room, then the length. Neither, if `to` is
 * NULL. */
int socket_address_return(const struct net_address *address, struct sockaddr *to, socklen_t *bytes);
/* Likewise, of a socket of AF_UNIX, which has no name. */
int socket_address_return_unnamed(struct sockaddr *to, socklen_t *bytes);

#endif
