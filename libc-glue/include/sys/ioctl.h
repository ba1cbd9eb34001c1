/*
 * Control of what a descriptor names. Numbers are Linux's (asm-generic/ioctls.h).
 *
 * Source: Linux's ioctl(2).
 */
#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H

#include <sys/cdefs.h>

#define TIOCOUTQ 0x5411 /* int *: bytes of a stream that the peer has not got yet */
#define FIONREAD 0x541b /* int *: bytes that can be read */
#define FIONBIO 0x5421  /* int *: whether not to block (O_NONBLOCK) */
#define FIONCLEX 0x5450
#define FIOCLEX 0x5451 /* FD_CLOEXEC */

__BEGIN_DECLS

int ioctl(int fd, unsigned long request, ...);

__END_DECLS

#endif
