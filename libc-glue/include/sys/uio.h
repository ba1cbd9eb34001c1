/*
 * Input and output with several buffers in one call.
 *
 * Source: POSIX.1-2017 <sys/uio.h>; Linux's preadv(2).
 */
#ifndef _SYS_UIO_H
#define _SYS_UIO_H

#include <limits.h> /* IOV_MAX */
#include <sys/cdefs.h>
#include <sys/types.h>

#define UIO_MAXIOV IOV_MAX

struct iovec {
    void *iov_base;
    size_t iov_len;
};

__BEGIN_DECLS

ssize_t readv(int fd, const struct iovec *vectors, int count);
ssize_t writev(int fd, const struct iovec *vectors, int count);
ssize_t preadv(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset);

__END_DECLS

#endif
