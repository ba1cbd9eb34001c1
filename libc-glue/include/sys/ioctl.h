/*
 * Control of what a descriptor names. Numbers are Linux's (asm-generic/ioctls.h).
 *
 * Source: Linux's ioctl(2).
 */
#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H

#include <sys/cdefs.h>

#define TIOCGWINSZ 0x5413 /* struct winsize *: of the console; 0: unknown, as of a serial line */
#define TIOCOUTQ 0x5411   /* int *: bytes of a stream that the peer has not got yet */
#define FIONREAD 0x541b   /* int *: bytes that can be read */
#define FIONBIO 0x5421    /* int *: whether not to block (O_NONBLOCK) */
#define FIONCLEX 0x5450
#define FIOCLEX 0x5451 /* FD_CLOEXEC */

struct winsize {
    unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};

__BEGIN_DECLS

int ioctl(int fd, unsigned long request, ...);

__END_DECLS

#endif
