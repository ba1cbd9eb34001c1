/*
 * Waiting for several descriptors. Values are Linux's.
 *
 * Source: POSIX.1-2017 <poll.h>; Linux's poll(2).
 */
#ifndef _POLL_H
#define _POLL_H

#include <sys/cdefs.h>
#include <sys/_sigset.h>
#include <sys/_timespec.h>

#ifndef _SIGSET_T_DECLARED
#define _SIGSET_T_DECLARED
typedef __sigset_t sigset_t;
#endif

#define POLLIN 0x001
#define POLLPRI 0x002
#define POLLOUT 0x004
#define POLLERR 0x008  /* result only */
#define POLLHUP 0x010  /* result only */
#define POLLNVAL 0x020 /* result only: not an open descriptor */
#define POLLRDNORM 0x040
#define POLLRDBAND 0x080
#define POLLWRNORM 0x100
#define POLLWRBAND 0x200
#define POLLRDHUP 0x2000 /* the peer sends no more */

typedef unsigned long nfds_t;

struct pollfd {
    int fd; /* negative: skipped */
    short events;
    short revents;
};

__BEGIN_DECLS

int poll(struct pollfd *fds, nfds_t nfds, int timeout_ms);
int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *mask);

__END_DECLS

#endif
