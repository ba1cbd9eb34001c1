/*
 * Sockets of AF_INET and AF_INET6: their life, and what they are as files. The work is done behind
 * net/socket.h. Pairs of AF_UNIX: socket_pair.c.
 *
 * Ordinary calls from threads; they sleep as long as the socket's mode and time-outs say. Locks:
 * none of its own.
 */
#include "libc-glue/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "libc-glue/deadline.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

_Static_assert(sizeof(struct iovec) == sizeof(struct net_span), "laid out alike");

static struct socket *socket_of(struct file *file)
{
    return (struct socket *)file;
}

/* --- As a file -------------------------------------------------------------------------------- */

ssize_t socket_read(struct file *file, const struct iovec *to, int count, off_t *position)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)to, .msg_iovlen = (size_t)count};

    (void)position;
    return socket_receive(socket_of(file), &message, 0);
}

ssize_t socket_write(struct file *file, const struct iovec *from, int count, off_t *position)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)from,
                             .msg_iovlen = (size_t)count};

    (void)position;
    return socket_send(socket_of(file), &message, 0);
}

int socket_stat(struct file *file, struct stat *out)
{
    (void)file;
    out->st_mode = S_IFSOCK | S_IRWXU | S_IRWXG | S_IRWXO;
    return 0;
}

static int control_socket(struct file *file, unsigned long request, void *argument)
{
    struct socket *s = socket_of(file);

    switch (request) {
    case FIONREAD:
        return net_socket_get_option(s->net, NET_OPTION_UNREAD_BYTES, argument);
    case TIOCOUTQ:
        return net_socket_get_option(s->net, NET_OPTION_UNSENT_BYTES, argument);
    default:
        return -ENOTTY;
    }
}

static unsigned poll_events(unsigned events)
{
    return ((events & NET_READABLE) != 0 ? POLLIN | POLLRDNORM : 0) |
           ((events & NET_WRITABLE) != 0 ? POLLOUT | POLLWRNORM : 0) |
           ((events & NET_FAILED) != 0 ? POLLERR : 0) |
           ((events & NET_HUNG_UP) != 0 ? POLLHUP : 0) |
           ((events & NET_PEER_CLOSED) != 0 ? POLLRDHUP : 0);
}

static unsigned poll_socket(struct file *file)
{
    return poll_events(net_socket_events(socket_of(file)->net));
}

/* The stack's lock is held. */
static void events_came(void *file, unsigned events)
{
    file_wake(file, poll_events(events));
}

static int release_socket(struct file *file)
{
    socket_leave_groups(socket_of(file));
    net_socket_close(socket_of(file)->net);
    free(file);
    return 0;
}

static const struct file_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .stat = socket_stat,
    .ioctl = control_socket,
    .poll = poll_socket,
    .release = release_socket,
};

int socket_get(int fd, struct socket **out)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error != 0)
        return error;
    if (file->ops != &socket_ops && file->ops != &socket_pair_ops) {
        file_put(file);
        return -ENOTSOCK;
    }
    *out = socket_of(file);
    return 0;
}

int socket_get_net(int fd, struct socket **out)
{
    int error = socket_get(fd, out);

    if (error == 0 && (*out)->net == NULL) {
        socket_put(*out);
        error = -EOPNOTSUPP;
    }
    return error;
}

/* --- Life ------------------------------------------------------------------------------------- */

/* As the flags of socket() and accept4() say. */
static int open_flags(int flags)
{
    return (flags & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0;
}

static int status_flags(int flags)
{
    return O_RDWR | ((flags & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
}

/* Turns s into the socket in front of `net`. */
static void begin(struct socket *s, struct net_socket *net, int family, int type, int protocol,
                  int flags)
{
    file_init(&s->file, &socket_ops, status_flags(flags));
    s->net = net;
    s->family = family;
    s->type = type;
    s->protocol = protocol;
    net_socket_watch(net, events_came, &s->file);
}

static int open_net(int family, int type, int *protocol, struct net_socket **out)
{
    enum net_family net_family = family == AF_INET ? NET_IPV4 : NET_IPV6;

    switch (type) {
    case SOCK_STREAM:
        if (*protocol != 0 && *protocol != IPPROTO_TCP)
            return -EPROTONOSUPPORT;
        *protocol = IPPROTO_TCP;
        return net_socket_open(net_family, NET_STREAM, 0, out);
    case SOCK_DGRAM:
        if (*protocol != 0 && *protocol != IPPROTO_UDP)
            return -EPROTONOSUPPORT;
        *protocol = IPPROTO_UDP;
        return net_socket_open(net_family, NET_DATAGRAM, 0, out);
    case SOCK_RAW:
        if (*protocol <= 0 || *protocol >= IPPROTO_MAX)
            return -EPROTONOSUPPORT;
        return net_socket_open(net_family, NET_RAW, *protocol, out);
    case SOCK_RDM:
    case SOCK_SEQPACKET:
        return -ESOCKTNOSUPPORT;
    default:
        return -EINVAL;
    }
}

static int open_socket(int family, int type, int protocol)
{
    const int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct socket *s;
    struct net_socket *net;

    type &= ~flags;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    int error = open_net(family, type, &protocol, &net);
    if (error != 0) {
        free(s);
        return error;
    }
    begin(s, net, family, type, protocol, flags);
    int fd = fd_open(&s->file, open_flags(flags));
    if (fd < 0)
        socket_put(s);
    return fd;
}

int socket(int family, int type, int protocol)
{
    return (int)glue_result(open_socket(family, type, protocol));
}

static int bind_socket(struct socket *s, const struct sockaddr *address, socklen_t bytes)
{
    struct net_address to;
    int error = socket_address_in(s->family, address, bytes, &to);

    return error != 0 ? error : net_socket_bind(s->net, &to);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct socket *s;
    int error = socket_get_net(fd, &s);

    if (error == 0) {
        error = bind_socket(s, address, bytes);
        socket_put(s);
    }
    return (int)glue_result(error);
}

int listen(int fd, int backlog)
{
    struct socket *s;
    int error = socket_get_net(fd, &s);

    if (error == 0) {
        /* Negative means as much as there is, as on Linux. */
        error = net_socket_listen(s->net, backlog < 0 || backlog > SOMAXCONN ? SOMAXCONN : backlog);
        socket_put(s);
    }
    return (int)glue_result(error);
}

/* Everything that can fail comes before the connection is taken off the queue. */
static int accept_socket(struct socket *listener, struct sockaddr *address, socklen_t *bytes,
                         int flags)
{
    struct net_socket *net;
    struct net_address peer;
    struct socket *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    int fd = fd_reserve(0, open_flags(flags));
    int error = fd < 0 ? fd : address != NULL && bytes == NULL ? -EFAULT : 0;
    if (error == 0)
        error = net_socket_accept(listener->net, socket_receive_deadline(listener, 0), &net, &peer);
    if (error != 0) {
        if (fd >= 0)
            fd_cancel(fd);
        free(s);
        return error;
    }
    begin(s, net, listener->family, listener->type, listener->protocol, flags);
    s->receive_timeout_ns = listener->receive_timeout_ns; /* as on Linux */
    s->send_timeout_ns = listener->send_timeout_ns;
    error = socket_address_return(&peer, address, bytes);
    if (error != 0) {
        fd_cancel(fd);
        socket_put(s);
        return error;
    }
    fd_install(fd, &s->file);
    return fd;
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    struct socket *s;
    int result;

    do {
        result = socket_get_net(fd, &s);
        if (result == 0) {
            if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0)
                result = -EINVAL;
            else
                result = accept_socket(s, address, bytes, flags);
            socket_put(s);
        }
    } while (glue_restarts(result));
    return (int)glue_result(result);
}

int accept(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return accept4(fd, address, bytes, 0);
}

static int connect_socket(struct socket *s, const struct sockaddr *address, socklen_t bytes)
{
    struct net_address to;
    const struct net_address *peer = &to;
    int error;

    if (bytes < sizeof(address->sa_family))
        return -EINVAL;
    if (address->sa_family == AF_UNSPEC) { /* dissolves the association */
        peer = NULL;
    } else if ((error = socket_address_in(s->family, address, bytes, &to)) != 0) {
        return error;
    }
    return net_socket_connect(s->net, peer, socket_send_deadline(s, 0));
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct socket *s;
    int error;

    do {
        error = socket_get_net(fd, &s);
        if (error == 0) {
            error = connect_socket(s, address, bytes);
            socket_put(s);
        }
    } while (glue_restarts(error));
    return (int)glue_result(error);
}

int shutdown(int fd, int how)
{
    struct socket *s;
    int error = socket_get(fd, &s);

    if (error == 0) {
        if (how < SHUT_RD || how > SHUT_RDWR)
            error = -EINVAL;
        else if (s->net == NULL)
            socket_pair_shutdown(s, how != SHUT_WR, how != SHUT_RD);
        else
            error = net_socket_shutdown(s->net, how != SHUT_WR, how != SHUT_RD);
        socket_put(s);
    }
    return (int)glue_result(error);
}

/* --- Names ------------------------------------------------------------------------------------ */

static int name_of(const struct socket *s, int (*ask)(struct net_socket *, struct net_address *),
                   struct sockaddr *to, socklen_t *bytes)
{
    struct net_address address;
    int error = s->net != NULL ? ask(s->net, &address) : 0;

    if (error != 0)
        return error;
    if (to == NULL)
        return -EFAULT;
    return s->net != NULL ? socket_address_return(&address, to, bytes)
                          : socket_address_return_unnamed(to, bytes);
}

static int name(int fd, int (*ask)(struct net_socket *, struct net_address *), struct sockaddr *to,
                socklen_t *bytes)
{
    struct socket *s;
    int error = socket_get(fd, &s);

    if (error == 0) {
        error = name_of(s, ask, to, bytes);
        socket_put(s);
    }
    return (int)glue_result(error);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return name(fd, net_socket_name, address, bytes);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return name(fd, net_socket_peer, address, bytes);
}

/* Nothing is urgent here. */
int sockatmark(int fd)
{
    struct socket *s;
    int error = socket_get(fd, &s);

    if (error == 0)
        socket_put(s);
    return (int)glue_result(error);
}
