/*
 * Pairs of AF_UNIX stream sockets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/loopback.h"

static bool make(int pair[2], int flags)
{
    return CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | flags, 0, pair));
}

static void close_both(const int pair[2])
{
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
}

static short ready(int fd)
{
    return poll_now(fd) & ~(POLLRDNORM | POLLWRNORM | POLLWRBAND);
}

TEST(pair_bytes,
     "What one end of a pair sends, the other receives, in order, in parts of any size.")
{
    char out[8] = {0};
    struct iovec from[] = {{(char[]){'a', 'b', 'c'}, 3}, {NULL, 0}, {(char[]){'d', 'e'}, 2}};
    struct iovec to[] = {{out, 2}, {out + 2, 2}, {out + 4, 3}};
    struct stat info;
    int pair[2], bytes = -1;

    REQUIRE(make(pair, 0));
    CHECK_OK(fstat(pair[0], &info));
    CHECK(S_ISSOCK(info.st_mode));
    CHECK_EQ(fcntl(pair[0], F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(fcntl(pair[0], F_GETFD), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(ready(pair[i]), POLLOUT);
        CHECK_EQ(writev(pair[i], from, 3), 5);
        CHECK_OK(ioctl(pair[!i], FIONREAD, &bytes));
        CHECK_EQ(bytes, 5);
        CHECK_EQ(ready(pair[!i]), POLLIN | POLLOUT);
        CHECK_EQ(recv(pair[!i], out, 4, MSG_PEEK), 4);
        CHECK_EQ(readv(pair[!i], to, 3), 5);
        CHECK_OK(memcmp(out, "abcde", 5));
        CHECK_FAILS(recv(pair[!i], out, 1, MSG_DONTWAIT), EAGAIN);
    }
    CHECK_EQ(send(pair[0], out, 0, 0), 0);
    CHECK_FAILS(lseek(pair[0], 0, SEEK_CUR), ESPIPE);
    close_both(pair);
    REQUIRE(make(pair, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
    CHECK_FAILS(read(pair[1], out, 1), EAGAIN);
    close_both(pair);
}

TEST(pair_full, "A full pair says EAGAIN, and takes in part what fits in part.")
{
    static char block[4096], large[4 << 20];
    int pair[2];
    ssize_t n, total = 0;

    REQUIRE(make(pair, SOCK_NONBLOCK));
    n = write(pair[0], large, sizeof(large));
    CHECK(n > 4096 && n < (ssize_t)sizeof(large));
    while (CHECK_GE(n, 0) && total < n) {
        ssize_t part = read(pair[1], block, sizeof(block));
        if (!CHECK(part > 0))
            break;
        total += part;
    }
    CHECK_EQ(total, n);
    while (write(pair[0], block, sizeof(block)) > 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(ready(pair[0]), 0);
    CHECK_EQ(ready(pair[1]), POLLIN | POLLOUT);
    close_both(pair);
}

TEST(pair_names, "Neither end has a name; it is connected, and of AF_UNIX.")
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address);
    int pair[2];
    char byte;

    REQUIRE(make(pair, 0));
    CHECK_OK(getsockname(pair[0], (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, sizeof(sa_family_t));
    CHECK_EQ(address.sun_family, AF_UNIX);
    bytes = sizeof(address);
    CHECK_OK(getpeername(pair[0], (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, sizeof(sa_family_t));
    CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_DOMAIN), AF_UNIX);
    CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_PROTOCOL), 0);
    CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_ERROR), 0);
    CHECK_GE(get_option(pair[0], SOL_SOCKET, SO_SNDBUF), 4096);
    CHECK_OK(set_option(pair[0], SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK_FAILS(set_option(pair[0], IPPROTO_TCP, 1, 1), EOPNOTSUPP);
    bytes = sizeof(address);
    CHECK_EQ(write(pair[0], "x", 1), 1);
    CHECK_EQ(recvfrom(pair[1], &byte, 1, 0, (struct sockaddr *)&address, &bytes), 1);
    CHECK_EQ(bytes, 0);
    close_both(pair);
}

TEST(pair_refused, "Pairs of other families, types and protocols are refused.")
{
    int pair[2];

    CHECK_FAILS(socketpair(AF_INET, SOCK_STREAM, 0, pair), EOPNOTSUPP);
    CHECK_FAILS(socketpair(12345, SOCK_STREAM, 0, pair), EAFNOSUPPORT);
    CHECK_FAILS(socketpair(AF_UNIX, SOCK_RDM, 0, pair), ESOCKTNOSUPPORT);
    CHECK_FAILS(socketpair(AF_UNIX, SOCK_STREAM, 6, pair), EPROTONOSUPPORT);
}

TEST(pair_closed, "A closed end: the other reads what was sent, then the end; a write fails.")
{
    int pair[2];
    char byte;

    REQUIRE(make(pair, 0));
    CHECK_EQ(write(pair[0], "ab", 2), 2);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(poll_now(pair[1]) & (POLLIN | POLLHUP | POLLRDHUP | POLLERR),
             POLLIN | POLLHUP | POLLRDHUP);
    CHECK_FAILS(write(pair[1], "x", 1), EPIPE);
    CHECK_EQ(read(pair[1], &byte, 1), 1);
    CHECK_EQ(byte, 'a');
    CHECK_EQ(read(pair[1], &byte, 1), 1);
    CHECK_EQ(read(pair[1], &byte, 1), 0);
    CHECK_EQ(read(pair[1], &byte, 1), 0);
    CHECK_OK(close(pair[1]));
}

TEST(pair_reset, "An end that is closed with bytes unread resets the other, once.")
{
    int pair[2];
    char byte;

    for (int asks = 0; asks < 2; asks++) {
        REQUIRE(make(pair, 0));
        CHECK_EQ(write(pair[0], "ab", 2), 2);
        CHECK_OK(close(pair[1]));
        CHECK_EQ(poll_now(pair[0]) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
        if (asks)
            CHECK_EQ(get_option(pair[0], SOL_SOCKET, SO_ERROR), ECONNRESET);
        else
            CHECK_FAILS(read(pair[0], &byte, 1), ECONNRESET);
        CHECK_EQ(read(pair[0], &byte, 1), 0);
        CHECK_FAILS(write(pair[0], "x", 1), EPIPE);
        CHECK_OK(close(pair[0]));
    }
}

TEST(pair_shutdown, "Shutting down one direction leaves the other.")
{
    int pair[2];
    char byte;

    REQUIRE(make(pair, 0));
    CHECK_EQ(write(pair[0], "a", 1), 1);
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_FAILS(write(pair[0], "x", 1), EPIPE);
    CHECK_EQ(read(pair[1], &byte, 1), 1);
    CHECK_EQ(read(pair[1], &byte, 1), 0);
    CHECK_EQ(poll_now(pair[1]) & (POLLIN | POLLHUP | POLLRDHUP), POLLIN | POLLRDHUP);
    CHECK_EQ(write(pair[1], "b", 1), 1);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    CHECK_OK(shutdown(pair[0], SHUT_RD));
    CHECK_FAILS(write(pair[1], "x", 1), EPIPE);
    CHECK_EQ(read(pair[0], &byte, 1), 0);
    CHECK_EQ(poll_now(pair[1]) & POLLHUP, POLLHUP);
    CHECK_FAILS(shutdown(pair[0], 3), EINVAL);
    close_both(pair);
}

#define STREAM_BYTES (1 << 20)

static void *write_stream(void *fd)
{
    static unsigned char block[7777];

    for (unsigned next = 0; next < STREAM_BYTES;) {
        size_t bytes = sizeof(block) < STREAM_BYTES - next ? sizeof(block) : STREAM_BYTES - next;
        for (size_t i = 0; i < bytes; i++)
            block[i] = (unsigned char)((next + i) * 31 >> 3);
        if (!CHECK_EQ(send((int)(intptr_t)fd, block, bytes, 0), bytes))
            break;
        next += (unsigned)bytes;
    }
    CHECK_OK(shutdown((int)(intptr_t)fd, SHUT_WR));
    return NULL;
}

TEST(pair_threads,
     "A stream between threads arrives whole; MSG_WAITALL waits for all of it, or its end.")
{
    static unsigned char block[100001]; /* more than is kept in between */
    unsigned next = 0;
    int pair[2];
    ssize_t n;

    REQUIRE(make(pair, 0));
    struct worker *writer = worker_start(write_stream, (void *)(intptr_t)pair[0]);
    while ((n = recv(pair[1], block, sizeof(block), MSG_WAITALL)) > 0) {
        CHECK(n == (ssize_t)sizeof(block) || next + n == STREAM_BYTES);
        for (ssize_t i = 0; i < n && !test_has_failed(); i++)
            CHECK_EQ(block[i], (unsigned char)((next + (unsigned)i) * 31 >> 3));
        next += (unsigned)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(next, STREAM_BYTES);
    worker_join(writer);
    close_both(pair);
}

static void *close_soon(void *fd)
{
    sleep_ms(30);
    CHECK_OK(close((int)(intptr_t)fd));
    return NULL;
}

TEST(pair_waits, "Who waits hears of bytes, of the end, and of its time-out.")
{
    struct timeval soon = {.tv_usec = 20000};
    struct pollfd p = {.events = POLLIN};
    static char block[4096];
    int pair[2];

    REQUIRE(make(pair, 0));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)));
    CHECK_FAILS(read(pair[1], block, 1), EAGAIN);
    while (write(pair[1], block, sizeof(block)) > 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    while (recv(pair[0], block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    struct worker *closer = worker_start(close_soon, (void *)(intptr_t)pair[0]);
    p.fd = pair[1];
    CHECK_EQ(poll(&p, 1, 10000), 1);
    CHECK_EQ(read(pair[1], block, 1), 0);
    worker_join(closer);
    CHECK_OK(close(pair[1]));
}

static volatile int broken;

static void on_sigpipe(int sig)
{
    broken += sig;
}

TEST(pair_sigpipe, "A write to a closed pair raises SIGPIPE, unless MSG_NOSIGNAL says not.")
{
    int pair[2];

    REQUIRE(make(pair, 0));
    CHECK_OK(close(pair[0]));
    CHECK(signal(SIGPIPE, on_sigpipe) == SIG_IGN);
    broken = 0;
    CHECK_FAILS(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(broken, 0);
    CHECK_FAILS(write(pair[1], "x", 1), EPIPE);
    CHECK_EQ(broken, SIGPIPE);
    CHECK(signal(SIGPIPE, SIG_IGN) == on_sigpipe);
    CHECK_OK(close(pair[1]));
}
