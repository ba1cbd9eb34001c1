/*
 * Sending and receiving: every call of the family becomes socket_send or socket_receive.
 *
 * Ordinary calls from threads; they sleep as long as the socket's mode, its time-outs and
 * MSG_DONTWAIT say.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "libc-glue/deadline.h"
#include "libc-glue/glue.h"
#include "libc-glue/socket.h"

static uint64_t deadline(const struct socket *s, int flags, uint64_t timeout_ns)
{
    if ((flags & MSG_DONTWAIT) != 0 || file_is_nonblocking(&s->file))
        return 0;
    return timeout_ns != 0 ? deadline_after_ns(timeout_ns) : DEADLINE_NEVER;
}

uint64_t socket_receive_deadline(const struct socket *s, int flags)
{
    return deadline(s, flags, atomic_load_explicit(&s->receive_timeout_ns, memory_order_relaxed));
}

uint64_t socket_send_deadline(const struct socket *s, int flags)
{
    return deadline(s, flags, atomic_load_explicit(&s->send_timeout_ns, memory_order_relaxed));
}

static int check_vectors(const struct msghdr *message)
{
    ssize_t total = 0;

    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        if (__builtin_add_overflow(total, message->msg_iov[i].iov_len, &total))
            return -EINVAL;
    return 0;
}

static ssize_t send_net(struct socket *s, const struct msghdr *message, int flags)
{
    struct net_address to, *has_to = NULL;
    int error = 0;

    if (message->msg_name != NULL && s->type != SOCK_STREAM) {
        error = socket_address_in(s->family, message->msg_name, message->msg_namelen, &to);
        has_to = &to;
    }
    if (error != 0)
        return error;
    return net_socket_send(
        s->net, (const struct net_span *)message->msg_iov, (unsigned)message->msg_iovlen,
        (flags & MSG_MORE) != 0 ? NET_MSG_MORE : 0, has_to, socket_send_deadline(s, flags));
}

ssize_t socket_send(struct socket *s, const struct msghdr *message, int flags)
{
    ssize_t result = check_vectors(message);

    if (result == 0 && (flags & MSG_OOB) != 0)
        result = -EOPNOTSUPP;
    if (result == 0 && s->net == NULL)
        result = socket_pair_send(s, message, flags);
    else if (result == 0)
        result = send_net(s, message, flags);
    if (result == -EPIPE && s->type == SOCK_STREAM && (flags & MSG_NOSIGNAL) == 0)
        raise(SIGPIPE);
    return result;
}

/* --- Receiving -------------------------------------------------------------------------------- */

/* Appends a control message if it fits, else says so in the flags. */
static void add_control(struct msghdr *message, size_t room, int level, int type, const void *data,
                        size_t bytes)
{
    struct cmsghdr header = {.cmsg_len = CMSG_LEN(bytes), .cmsg_level = level, .cmsg_type = type};
    char *at = (char *)message->msg_control + message->msg_controllen;

    if (message->msg_controllen + header.cmsg_len > room) {
        message->msg_flags |= MSG_CTRUNC;
        return;
    }
    memcpy(at, &header, sizeof(header));
    memcpy(at + CMSG_LEN(0), data, bytes);
    message->msg_controllen += CMSG_SPACE(bytes);
    if (message->msg_controllen > room)
        message->msg_controllen = room;
}

static void add_packet_info(const struct socket *s, struct msghdr *message, size_t room,
                            const struct net_address *to)
{
    if (s->family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)to->interface};
        memcpy(&info.ipi_addr, to->address, sizeof(info.ipi_addr));
        info.ipi_spec_dst = info.ipi_addr;
        add_control(message, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = to->interface};
        memcpy(&info.ipi6_addr, to->address, sizeof(info.ipi6_addr));
        add_control(message, room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

static unsigned net_flags(int flags)
{
    return ((flags & MSG_PEEK) != 0 ? NET_MSG_PEEK : 0) |
           ((flags & MSG_WAITALL) != 0 ? NET_MSG_WAIT_ALL : 0) |
           ((flags & MSG_TRUNC) != 0 ? NET_MSG_TRUNCATE : 0);
}

ssize_t socket_receive(struct socket *s, struct msghdr *message, int flags)
{
    const size_t control_room = message->msg_control != NULL ? message->msg_controllen : 0;
    const bool is_stream =
        s->type == SOCK_STREAM; /* the peer is known: Linux's tcp(7) names nobody */
    struct net_receive_info info;
    ssize_t result = check_vectors(message);

    if (result == 0 && (flags & MSG_ERRQUEUE) != 0)
        result = -EAGAIN; /* errors of packets are never queued */
    if (result == 0 && s->net == NULL)
        return socket_pair_receive(s, message, flags);
    if (result == 0 && (flags & MSG_OOB) != 0)
        result = s->type == SOCK_STREAM ? -EINVAL : -EOPNOTSUPP; /* nothing is urgent */
    if (result == 0)
        result = net_socket_receive(s->net, (const struct net_span *)message->msg_iov,
                                    (unsigned)message->msg_iovlen, net_flags(flags),
                                    is_stream ? NULL : &info, socket_receive_deadline(s, flags));
    if (result < 0)
        return result;
    message->msg_flags = 0;
    message->msg_controllen = 0;
    if (is_stream) {
        message->msg_namelen = 0;
        return result;
    }
    if (info.truncated)
        message->msg_flags |= MSG_TRUNC;
    if (message->msg_name != NULL)
        message->msg_namelen =
            socket_address_out(&info.from, message->msg_name, message->msg_namelen);
    if (atomic_load_explicit(&s->wants_packet_info, memory_order_relaxed))
        add_packet_info(s, message, control_room, &info.to);
    return result;
}

/* --- System calls -------------------------------------------------------------------------------
 */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct socket *s;
    ssize_t result;

    do {
        result = socket_get(fd, &s);
        if (result == 0) {
            result = socket_send(s, message, flags);
            socket_put(s);
        }
    } while (glue_restarts(result));
    return glue_result(result);
}

ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
               socklen_t to_bytes)
{
    struct iovec vector = {(void *)(uintptr_t)data, bytes};
    struct msghdr message = {
        .msg_name = (void *)(uintptr_t)to,
        .msg_namelen = to_bytes,
        .msg_iov = &vector,
        .msg_iovlen = 1,
    };

    return sendmsg(fd, &message, flags);
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
    return sendto(fd, data, bytes, flags, NULL, 0);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct socket *s;
    ssize_t result;

    do {
        result = socket_get(fd, &s);
        if (result == 0) {
            result = socket_receive(s, message, flags);
            socket_put(s);
        }
    } while (glue_restarts(result));
    return glue_result(result);
}

ssize_t recvfrom(int fd, void *data, size_t bytes, int flags, struct sockaddr *from,
                 socklen_t *from_bytes)
{
    struct iovec vector = {data, bytes};
    struct msghdr message = {
        .msg_name = from_bytes != NULL ? from : NULL,
        .msg_namelen = from_bytes != NULL ? *from_bytes : 0,
        .msg_iov = &vector,
        .msg_iovlen = 1,
    };
    ssize_t result = recvmsg(fd, &message, flags);

    if (result >= 0 && message.msg_name != NULL)
        *from_bytes = message.msg_namelen;
    return result;
}

ssize_t recv(int fd, void *data, size_t bytes, int flags)
{
    return recvfrom(fd, data, bytes, flags, NULL, NULL);
}

/* The first error counts only if nothing was sent before. */
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned done;

    for (done = 0; done < count && done < IOV_MAX; done++) {
        ssize_t sent = sendmsg(fd, &messages[done].msg_hdr, flags);
        if (sent < 0)
            break;
        messages[done].msg_len = (unsigned)sent;
    }
    return done == 0 && count != 0 ? -1 : (int)done;
}

/* The time-out is looked at between messages only (Linux's recvmmsg(2), BUGS). */
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    uint64_t deadline_ns;
    unsigned done;
    int error = deadline_after(timeout, &deadline_ns);

    if (error != 0)
        return (int)glue_result(error);
    for (done = 0; done < count && (done == 0 || clock_monotonic_ns() < deadline_ns); done++) {
        ssize_t received = recvmsg(fd, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
        if (received < 0)
            break;
        messages[done].msg_len = (unsigned)received;
        if ((flags & MSG_WAITFORONE) != 0)
            flags |= MSG_DONTWAIT;
    }
    return done == 0 && count != 0 ? -1 : (int)done;
}
