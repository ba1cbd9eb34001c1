/*
 * The console as a terminal (termios.h): one mode, which is the one that it has.
 *
 * Ordinary calls from threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "libc-glue/glue.h"

static const struct termios console_mode = {
    .c_cflag = CS8 | CREAD | CLOCAL,
    .c_cc = {[VMIN] = 1},
    .c_ispeed = B115200,
    .c_ospeed = B115200,
};

/* 0, or -1 with errno: no descriptor, or not of a terminal. */
static int check(int fd)
{
    return isatty(fd) ? 0 : -1;
}

int tcgetattr(int fd, struct termios *out)
{
    if (check(fd) != 0)
        return -1;
    *out = console_mode;
    return 0;
}

/* What changes nothing succeeds, for programs that put back what they found. */
int tcsetattr(int fd, int when, const struct termios *wanted)
{
    bool is_same = wanted->c_iflag == console_mode.c_iflag &&
                   wanted->c_oflag == console_mode.c_oflag &&
                   wanted->c_lflag == console_mode.c_lflag &&
                   (wanted->c_cflag & CSIZE) == (console_mode.c_cflag & CSIZE);

    if (check(fd) != 0)
        return -1;
    return (int)glue_result(is_same && when >= TCSANOW && when <= TCSAFLUSH ? 0 : -EINVAL);
}

int tcdrain(int fd)
{
    return check(fd); /* what was written is out */
}

int tcflush(int fd, int queue)
{
    (void)queue;
    return check(fd) == 0 ? (int)glue_result(-EINVAL) : -1;
}

int tcflow(int fd, int action)
{
    (void)action;
    return check(fd) == 0 ? (int)glue_result(-EINVAL) : -1;
}

int tcsendbreak(int fd, int duration)
{
    (void)duration;
    return check(fd) == 0 ? (int)glue_result(-EINVAL) : -1;
}

pid_t tcgetpgrp(int fd)
{
    return check(fd) == 0 ? getpid() : -1;
}

int tcsetpgrp(int fd, pid_t group)
{
    return check(fd) == 0 ? (int)glue_result(group == getpid() ? 0 : -EPERM) : -1;
}

void cfmakeraw(struct termios *mode)
{
    mode->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    mode->c_oflag &= ~(tcflag_t)OPOST;
    mode->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    mode->c_cflag = (mode->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
}

speed_t cfgetispeed(const struct termios *mode)
{
    return mode->c_ispeed;
}

speed_t cfgetospeed(const struct termios *mode)
{
    return mode->c_ospeed;
}

int cfsetispeed(struct termios *mode, speed_t speed)
{
    mode->c_ispeed = speed;
    return 0;
}

int cfsetospeed(struct termios *mode, speed_t speed)
{
    mode->c_ospeed = speed;
    return 0;
}

char *ctermid(char *out)
{
    static char name[] = "/dev/console";

    return out != NULL ? strcpy(out, name) : name;
}
