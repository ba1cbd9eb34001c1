/*
 * Pairs of AF_UNIX stream sockets: what one end sends, the other receives.
 *
 * Each end has a ring (ring.h) of what has come for it. What is told apart, as Linux does: an end
 * that was closed, one that was shut down, and one that was closed before it had read everything.
 *
 * Ordinary calls from threads; they sleep as the socket's mode and time-outs say. Lock: that of the
 * pair protects all of it.
 */
#include "libc-glue/socket.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/ring.h"

#define ROOM_BYTES 4096u /* with so much room it is writable */

struct end {
    struct socket socket; /* first */
    struct pair *pair;
    bool is_open;
    bool receives, sends; /* until it is shut down, from either side */
    int error;            /* to be told once; 0: none */
    struct ring received;
};

struct pair {
    struct mutex lock;
    struct cond changed;
    struct end ends[2];
};

static struct end *end_of(struct file *file)
{
    return (struct end *)file;
}

static struct end *peer_of(struct end *e)
{
    return &e->pair->ends[e == &e->pair->ends[0]];
}

/* The pair's lock is held: it is given up until somebody does something. */
static int wait_for_change(struct pair *pair, uint64_t deadline_ns)
{
    if (deadline_ns == 0)
        return -EAGAIN;
    int error = cond_wait_interruptible(&pair->changed, &pair->lock, deadline_ns);
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

static int take_error(struct end *e)
{
    int error = e->error;

    e->error = 0;
    return -error;
}

/* The pair's lock is held. */
static ssize_t put_span(struct end *e, const char *from, size_t bytes, uint64_t deadline_ns)
{
    struct end *peer = peer_of(e);
    size_t done = 0;
    int error = 0;

    while (done < bytes && error == 0) {
        uint32_t part = e->sends ? ring_put(&peer->received, from + done, bytes - done) : 0;

        done += part;
        if (part != 0) {
            cond_broadcast(&e->pair->changed);
            file_wake(&peer->socket.file, POLLIN | POLLRDNORM);
        } else {
            error = e->sends ? wait_for_change(e->pair, deadline_ns) : -EPIPE;
        }
    }
    return done != 0 ? (ssize_t)done : error;
}

ssize_t socket_pair_send(struct socket *s, const struct msghdr *message, int flags)
{
    const uint64_t deadline_ns = socket_send_deadline(s, flags);
    struct end *e = end_of(&s->file);
    ssize_t done = 0, part = 0;

    if (message->msg_controllen != 0)
        return -EOPNOTSUPP;
    if (message->msg_namelen != 0)
        return -EISCONN;
    mutex_lock(&e->pair->lock);
    if (!e->sends)
        part = -EPIPE;
    for (size_t i = 0; i < message->msg_iovlen && part >= 0; i++) {
        const struct iovec *from = &message->msg_iov[i];

        part = put_span(e, from->iov_base, from->iov_len, deadline_ns);
        done += part > 0 ? part : 0;
        if (part >= 0 && (size_t)part < from->iov_len)
            break;
    }
    mutex_unlock(&e->pair->lock);
    return done != 0 ? done : part;
}

/* The pair's lock is held. Until there are `bytes`, or there will be no more; -errno: there are
 * none. */
static int wait_for_bytes(struct end *e, size_t bytes, uint64_t deadline_ns)
{
    int error = 0;

    if (bytes > RING_BYTES)
        bytes = RING_BYTES;
    while (ring_filled(&e->received) < bytes && e->error == 0 && e->receives && error == 0)
        error = wait_for_change(e->pair, deadline_ns);
    if (ring_filled(&e->received) != 0)
        return 0;
    return e->error != 0 ? take_error(e) : error;
}

/* The pair's lock is held. */
static size_t copy_spans(struct end *e, const struct msghdr *message, size_t done, bool peeks)
{
    size_t copied = 0, skip = done;

    for (size_t i = 0; i < message->msg_iovlen; i++) {
        char *to = message->msg_iov[i].iov_base;
        size_t bytes = message->msg_iov[i].iov_len;

        if (skip >= bytes) { /* filled already */
            skip -= bytes;
            continue;
        }
        uint32_t part = peeks ? ring_peek(&e->received, (uint32_t)copied, to + skip, bytes - skip)
                              : ring_take(&e->received, to + skip, bytes - skip);
        copied += part;
        if (part < bytes - skip)
            break;
        skip = 0;
    }
    return copied;
}

ssize_t socket_pair_receive(struct socket *s, struct msghdr *message, int flags)
{
    const uint64_t deadline_ns = socket_receive_deadline(s, flags);
    const bool peeks = (flags & MSG_PEEK) != 0, waits_for_all = (flags & MSG_WAITALL) != 0;
    struct end *e = end_of(&s->file);
    size_t total = 0, done = 0;
    int error;

    if ((flags & MSG_OOB) != 0)
        return -EOPNOTSUPP;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        total += message->msg_iov[i].iov_len;
    mutex_lock(&e->pair->lock);
    do {
        error = wait_for_bytes(e, waits_for_all && total != 0 ? total - done : 1, deadline_ns);
        size_t part = error == 0 ? copy_spans(e, message, done, peeks) : 0;

        if (part == 0) /* the end, an error, or nothing was asked for */
            break;
        done += part;
        if (!peeks) {
            cond_broadcast(&e->pair->changed);
            file_wake(&peer_of(e)->socket.file, POLLOUT | POLLWRNORM);
        }
    } while (waits_for_all && !peeks && done < total);
    mutex_unlock(&e->pair->lock);
    if (done == 0 && error != 0)
        return error;
    message->msg_flags = 0;
    message->msg_controllen = 0;
    message->msg_namelen = 0; /* the peer has no name */
    return (ssize_t)done;
}

/* The pair's lock is held. Both sides see what has ended. */
static void tell(struct pair *pair)
{
    cond_broadcast(&pair->changed);
    for (unsigned i = 0; i < 2; i++)
        file_wake(&pair->ends[i].socket.file,
                  POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLRDHUP | POLLHUP | POLLERR);
}

void socket_pair_shutdown(struct socket *s, bool receive, bool send)
{
    struct end *e = end_of(&s->file), *peer = peer_of(e);

    mutex_lock(&e->pair->lock);
    if (receive)
        e->receives = peer->sends = false;
    if (send)
        e->sends = peer->receives = false;
    tell(e->pair);
    mutex_unlock(&e->pair->lock);
}

int socket_pair_error(struct socket *s)
{
    struct end *e = end_of(&s->file);

    mutex_lock(&e->pair->lock);
    int error = -take_error(e);
    mutex_unlock(&e->pair->lock);
    return error;
}

int socket_pair_buffer_bytes(void)
{
    return RING_BYTES;
}

/* --- As files --------------------------------------------------------------------------------- */

static unsigned poll_end(struct file *file)
{
    struct end *e = end_of(file);
    unsigned events = 0;

    mutex_lock(&e->pair->lock);
    if (ring_filled(&e->received) != 0 || !e->receives)
        events |= POLLIN | POLLRDNORM;
    if (ring_room(&peer_of(e)->received) >= ROOM_BYTES)
        events |= POLLOUT | POLLWRNORM;
    if (!e->receives)
        events |= POLLRDHUP;
    if (!e->receives && !e->sends)
        events |= POLLHUP;
    if (e->error != 0)
        events |= POLLERR;
    mutex_unlock(&e->pair->lock);
    return events;
}

static int control_end(struct file *file, unsigned long request, void *argument)
{
    struct end *e = end_of(file);

    switch (request) {
    case FIONREAD:
        *(int *)argument = (int)ring_filled(&e->received);
        return 0;
    case TIOCOUTQ:
        *(int *)argument = (int)ring_filled(&peer_of(e)->received);
        return 0;
    default:
        return -ENOTTY;
    }
}

/* What was received and not read is lost, and the peer learns that. What was sent stays. */
static int release_end(struct file *file)
{
    struct end *e = end_of(file), *peer = peer_of(e);
    struct pair *pair = e->pair;

    mutex_lock(&pair->lock);
    e->is_open = false;
    peer->receives = peer->sends = false;
    if (ring_filled(&e->received) != 0)
        peer->error = ECONNRESET;
    e->received.read_bytes = e->received.written_bytes;
    bool is_last = !peer->is_open;
    tell(pair);
    mutex_unlock(&pair->lock);
    if (is_last)
        free(pair);
    return 0;
}

const struct file_ops socket_pair_ops = {
    .read = socket_read,
    .write = socket_write,
    .stat = socket_stat,
    .ioctl = control_end,
    .poll = poll_end,
    .release = release_end,
};

/* --- Making one ------------------------------------------------------------------------------- */

static void begin_end(struct pair *pair, unsigned n, int type, int flags)
{
    struct end *e = &pair->ends[n];

    memset(e, 0, offsetof(struct end, received.bytes));
    file_init(&e->socket.file, &socket_pair_ops,
              O_RDWR | ((flags & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0));
    e->socket.family = AF_UNIX;
    e->socket.type = type;
    e->pair = pair;
    e->is_open = e->receives = e->sends = true;
}

static int check(int family, int type, int protocol)
{
    if (family == AF_INET || family == AF_INET6)
        return -EOPNOTSUPP;
    if (family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (protocol != 0 && protocol != PF_UNIX)
        return -EPROTONOSUPPORT;
    return type == SOCK_STREAM ? 0 : -ESOCKTNOSUPPORT;
}

static int make_pair(int type, int flags, int fds[2])
{
    const int open_flags = (flags & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0;
    struct pair *pair = malloc(sizeof(*pair));
    int first, second;

    if (pair == NULL)
        return -ENOMEM;
    first = fd_reserve(0, open_flags);
    second = first >= 0 ? fd_reserve(0, open_flags) : first;
    if (second < 0) {
        if (first >= 0)
            fd_cancel(first);
        free(pair);
        return second;
    }
    pair->lock = (struct mutex)MUTEX_INIT;
    pair->changed = (struct cond)COND_INIT;
    begin_end(pair, 0, type, flags);
    begin_end(pair, 1, type, flags);
    fd_install(first, &pair->ends[0].socket.file);
    fd_install(second, &pair->ends[1].socket.file);
    fds[0] = first;
    fds[1] = second;
    return 0;
}

int socketpair(int family, int type, int protocol, int fds[2])
{
    const int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = check(family, type & ~flags, protocol);

    return (int)glue_result(error != 0 ? error : make_pair(type & ~flags, flags, fds));
}
