/*
 * Terminals (POSIX.1-2017, termios.h). The console is one without line editing: input comes as it
 * is typed, unechoed, output goes as it is written. Its mode can be asked for; another is refused
 * (EINVAL).
 */
#ifndef _SYS_TERMIOS_H
#define _SYS_TERMIOS_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char cc_t;
typedef unsigned int speed_t;
typedef unsigned int tcflag_t;

#define NCCS 20

struct termios {
    tcflag_t c_iflag, c_oflag, c_cflag, c_lflag;
    cc_t c_cc[NCCS];
    speed_t c_ispeed, c_ospeed;
};

#define VINTR 0
#define VQUIT 1
#define VERASE 2
#define VKILL 3
#define VEOF 4
#define VTIME 5
#define VMIN 6
#define VSTART 8
#define VSTOP 9
#define VSUSP 10
#define VEOL 11

#define IGNBRK 0x1
#define BRKINT 0x2
#define IGNPAR 0x4
#define PARMRK 0x8
#define INPCK 0x10
#define ISTRIP 0x20
#define INLCR 0x40
#define IGNCR 0x80
#define ICRNL 0x100
#define IXON 0x400
#define IXANY 0x800
#define IXOFF 0x1000

#define OPOST 0x1
#define ONLCR 0x4

#define CSIZE 0x30
#define CS5 0x00
#define CS6 0x10
#define CS7 0x20
#define CS8 0x30
#define CSTOPB 0x40
#define CREAD 0x80
#define PARENB 0x100
#define PARODD 0x200
#define HUPCL 0x400
#define CLOCAL 0x800

#define ISIG 0x1
#define ICANON 0x2
#define ECHO 0x8
#define ECHOE 0x10
#define ECHOK 0x20
#define ECHONL 0x40
#define NOFLSH 0x80
#define TOSTOP 0x100
#define IEXTEN 0x8000

#define B0 0
#define B9600 9600
#define B19200 19200
#define B38400 38400
#define B115200 115200

#define TCSANOW 0
#define TCSADRAIN 1
#define TCSAFLUSH 2
#define TCIFLUSH 0
#define TCOFLUSH 1
#define TCIOFLUSH 2
#define TCOOFF 0
#define TCOON 1
#define TCIOFF 2
#define TCION 3

/* ENOTTY: no terminal. */
int tcgetattr(int fd, struct termios *out);
int tcsetattr(int fd, int when, const struct termios *wanted);
int tcdrain(int fd);
int tcflush(int fd, int queue);
int tcflow(int fd, int action); /* EINVAL: nothing stops the console */
int tcsendbreak(int fd, int duration);

void cfmakeraw(struct termios *mode);
speed_t cfgetispeed(const struct termios *mode);
speed_t cfgetospeed(const struct termios *mode);
int cfsetispeed(struct termios *mode, speed_t speed);
int cfsetospeed(struct termios *mode, speed_t speed);

#ifdef __cplusplus
}
#endif
#endif
