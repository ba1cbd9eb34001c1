/*
 * TCP sockets over loopback: connections, data, their end, every error.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/loopback.h"

static struct timeval ms(unsigned count)
{
    return (struct timeval){count / 1000, count % 1000 * 1000};
}

static int set_timeout(int fd, int option, unsigned count)
{
    struct timeval time = ms(count);

    return setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time));
}

TEST(socket_create, "socket makes what there is and names what there is not.")
{
    struct stat info;

    EACH_FAMILY(family)
    {
        int fd = socket(family, SOCK_STREAM, 0);
        REQUIRE_GE(fd, 3);
        CHECK_OK(fstat(fd, &info));
        CHECK(S_ISSOCK(info.st_mode));
        CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
        CHECK_EQ(fcntl(fd, F_GETFD), 0);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_DOMAIN), family);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
        CHECK_FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
        CHECK_OK(close(fd));
        fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
        CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
        CHECK_OK(close(fd));
        CHECK_FAILS(socket(family, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
        CHECK_FAILS(socket(family, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
        CHECK_FAILS(socket(family, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
        CHECK_FAILS(socket(family, 77, 0), EINVAL);
    }
    CHECK_FAILS(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_FAILS(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
}

TEST(socket_not, "What is no socket is refused.")
{
    union address address = loopback(AF_INET, 1);
    socklen_t bytes = sizeof(address);
    int value = 0, fd = dup(1);
    char byte;

    CHECK_FAILS(bind(fd, &address.any, sizeof(address.in)), ENOTSOCK);
    CHECK_FAILS(listen(fd, 1), ENOTSOCK);
    CHECK_FAILS(accept(fd, NULL, NULL), ENOTSOCK);
    CHECK_FAILS(connect(fd, &address.any, sizeof(address.in)), ENOTSOCK);
    CHECK_FAILS(shutdown(fd, SHUT_RD), ENOTSOCK);
    CHECK_FAILS(getsockname(fd, &address.any, &bytes), ENOTSOCK);
    CHECK_FAILS(getpeername(fd, &address.any, &bytes), ENOTSOCK);
    CHECK_FAILS(send(fd, &byte, 1, 0), ENOTSOCK);
    CHECK_FAILS(recv(fd, &byte, 1, 0), ENOTSOCK);
    bytes = sizeof(value);
    CHECK_FAILS(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes), ENOTSOCK);
    CHECK_FAILS(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1), ENOTSOCK);
    CHECK_OK(close(fd));
    CHECK_FAILS(listen(fd, 1), EBADF);
    CHECK_FAILS(send(fd, &byte, 1, 0), EBADF);
    CHECK_FAILS(recv(fd, &byte, 1, 0), EBADF);
    CHECK_FAILS(accept(fd, NULL, NULL), EBADF);
}

TEST(stream_names, "Both ends of a connection know both addresses; short room gets a part.")
{
    EACH_FAMILY(family)
    {
        union address server, client, got;
        socklen_t bytes = sizeof(client);
        int listener = listening_socket(family, &server), a = socket(family, SOCK_STREAM, 0);

        CHECK_FAILS(getpeername(a, &got.any, &bytes), ENOTCONN);
        CHECK_OK(connect(a, &server.any, address_bytes(family)));
        bytes = sizeof(got);
        CHECK_OK(getsockname(a, &client.any, &bytes));
        CHECK_EQ(bytes, address_bytes(family));
        CHECK_EQ(client.any.sa_family, family);
        memset(&got, 0, sizeof(got));
        bytes = sizeof(got);
        int b = accept(listener, &got.any, &bytes);
        REQUIRE_GE(b, 0);
        CHECK_EQ(bytes, address_bytes(family));
        CHECK_OK(memcmp(&got, &client, bytes));
        bytes = sizeof(got);
        CHECK_OK(getpeername(b, &got.any, &bytes));
        CHECK_OK(memcmp(&got, &client, bytes));
        CHECK_OK(getpeername(a, &got.any, &bytes));
        CHECK_OK(memcmp(&got, &server, bytes));
        CHECK_OK(getsockname(b, &got.any, &bytes));
        CHECK_OK(memcmp(&got, &server, bytes));
        memset(&got, 0x55, sizeof(got));
        bytes = 3;
        CHECK_OK(getsockname(b, &got.any, &bytes));
        CHECK_EQ(bytes, address_bytes(family));
        CHECK_EQ(((unsigned char *)&got)[3], 0x55);
        CHECK_OK(close(a));
        CHECK_OK(close(b));
        CHECK_OK(close(listener));
    }
}

TEST(stream_bind_errors, "bind refuses what is in use, bound, not ours, too short or of no family.")
{
    EACH_FAMILY(family)
    {
        union address address, other;
        int fd = listening_socket(family, &address), second = socket(family, SOCK_STREAM, 0);
        socklen_t bytes = address_bytes(family);

        CHECK_FAILS(bind(second, &address.any, bytes), EADDRINUSE);
        CHECK_OK(set_option(second, SOL_SOCKET, SO_REUSEADDR, 1));
        CHECK_FAILS(bind(second, &address.any, bytes), EADDRINUSE);
        other = loopback(family, 0);
        CHECK_FAILS(bind(fd, &other.any, bytes), EINVAL);
        CHECK_FAILS(bind(second, &other.any, 3), EINVAL);
        other.any.sa_family = 77;
        CHECK_FAILS(bind(second, &other.any, bytes), EAFNOSUPPORT);
        other = loopback(family, 0);
        if (family == AF_INET)
            other.in.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: of nobody */
        else
            other.in6.sin6_addr.s6_addr[0] = 0x20;
        CHECK_FAILS(bind(second, &other.any, bytes), EADDRNOTAVAIL);
        CHECK_OK(close(fd));
        CHECK_OK(bind(second, &address.any, bytes));
        CHECK_OK(close(second));
    }
}

TEST(stream_reuse, "A port whose connections are over can be had again with SO_REUSEADDR.")
{
    union address address;
    int listener = listening_socket(AF_INET, &address), a = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    CHECK_OK(set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_EQ(get_option(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    CHECK_OK(connect(a, &address.any, sizeof(address.in)));
    int b = accept(listener, NULL, NULL);
    CHECK_OK(close(b)); /* first: it is the one in TIME_WAIT */
    CHECK_EQ(read(a, &byte, 1), 0);
    CHECK_OK(close(a));
    CHECK_OK(close(listener));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(bind(listener, &address.any, sizeof(address.in)), EADDRINUSE);
    CHECK_OK(set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(bind(listener, &address.any, sizeof(address.in)));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(close(listener));
}

TEST(stream_unconnected, "What needs a connection says so without one.")
{
    EACH_FAMILY(family)
    {
        int fd = socket(family, SOCK_STREAM, 0);
        union address address;
        socklen_t bytes = sizeof(address);
        char byte = 0;

        CHECK_FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
        CHECK_FAILS(write(fd, &byte, 1), EPIPE);
        CHECK_FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
        CHECK_FAILS(read(fd, &byte, 1), ENOTCONN);
        CHECK_FAILS(shutdown(fd, 3), EINVAL);
        CHECK_FAILS(getpeername(fd, &address.any, &bytes), ENOTCONN);
        CHECK_FAILS(accept(fd, NULL, NULL), EINVAL);
        CHECK_EQ(poll_now(fd), POLLOUT | POLLHUP);
        CHECK_FAILS(shutdown(fd, SHUT_RDWR), ENOTCONN);
        CHECK_OK(close(fd));
        fd = socket(family, SOCK_STREAM, 0);
        CHECK_OK(listen(fd, 5));
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
        CHECK_EQ(poll_now(fd), 0);
        CHECK_FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
        CHECK_FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
        address = loopback(family, 1);
        CHECK_FAILS(connect(fd, &address.any, address_bytes(family)), EISCONN);
        CHECK_OK(close(fd));
    }
}

TEST(stream_connect_errors, "connect says who refuses, what is connected, what is wrong.")
{
    EACH_FAMILY(family)
    {
        union address address, wrong;
        int nobody = bound_socket(family, SOCK_STREAM, &address);
        int fd = socket(family, SOCK_STREAM, 0), pair[2];
        socklen_t bytes = address_bytes(family);
        char byte = 0;

        CHECK_FAILS(connect(fd, &address.any, bytes), ECONNREFUSED);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), 0);
        CHECK_FAILS(connect(fd, &address.any, bytes), ECONNREFUSED); /* tries again */
        CHECK_FAILS(connect(fd, &address.any, 4), EINVAL);
        wrong = address;
        wrong.any.sa_family = 77;
        CHECK_FAILS(connect(fd, &wrong.any, bytes), EAFNOSUPPORT);
        CHECK_OK(close(nobody));
        int listener = listening_socket(family, &address);
        CHECK_OK(connect(fd, &address.any, bytes));
        CHECK_FAILS(connect(fd, &address.any, bytes), EISCONN);
        CHECK_OK(close(listener));
        CHECK_OK(close(fd));
        REQUIRE(connected_pair(family, pair));
        CHECK_EQ(sendto(pair[0], &byte, 1, 0, &address.any, bytes), 1); /* not looked at */
        CHECK_FAILS(accept(pair[0], NULL, NULL), EINVAL);
        CHECK_FAILS(listen(pair[0], 1), EINVAL);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
}

TEST(stream_connect_nonblock, "A connect that does not block goes on, and SO_ERROR tells its end.")
{
    EACH_FAMILY(family)
    {
        union address address;
        int listener = listening_socket(family, &address);
        int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        socklen_t bytes = address_bytes(family);

        if (connect(fd, &address.any, bytes) != 0)
            CHECK_EQ(errno, EINPROGRESS);
        CHECK_EQ(poll_for(fd, POLLOUT), POLLOUT);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), 0);
        int result = connect(fd, &address.any, bytes);
        CHECK(result == 0 || errno == EISCONN);
        CHECK_FAILS(connect(fd, &address.any, bytes), EISCONN);
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
        int nobody = bound_socket(family, SOCK_STREAM, &address);
        fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (CHECK(connect(fd, &address.any, bytes) != 0) && errno == EINPROGRESS) {
            CHECK_EQ(poll_for(fd, POLLOUT) & (POLLOUT | POLLERR | POLLHUP),
                     POLLOUT | POLLERR | POLLHUP);
            CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
            CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), 0);
        } else {
            CHECK_EQ(errno, ECONNREFUSED);
        }
        CHECK_OK(close(fd));
        CHECK_OK(close(nobody));
    }
}

TEST(stream_any, "Connecting to the unspecified address reaches this machine.")
{
    EACH_FAMILY(family)
    {
        union address address, any;
        int listener = listening_socket(family, &address), fd = socket(family, SOCK_STREAM, 0);

        any = loopback(family, port_of(&address));
        if (family == AF_INET)
            any.in.sin_addr.s_addr = INADDR_ANY;
        else
            any.in6.sin6_addr = in6addr_any;
        CHECK_OK(connect(fd, &any.any, address_bytes(family)));
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
    }
}

TEST(stream_accept_flags, "accept4 sets the new descriptor's flags, which are not the listener's.")
{
    union address address;
    int listener = listening_socket(AF_INET, &address), clients[2], fd;

    CHECK_OK(fcntl(listener, F_SETFL, O_NONBLOCK));
    CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_OK(connect(clients[i], &address.any, sizeof(address.in)));
    }
    CHECK_EQ(poll_for(listener, POLLIN), POLLIN);
    CHECK_FAILS(accept4(listener, NULL, NULL, 1), EINVAL);
    REQUIRE_GE(fd = accept(listener, NULL, NULL), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_OK(close(fd));
    REQUIRE_GE(fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(close(fd));
    CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
    CHECK_OK(close(clients[0]));
    CHECK_OK(close(clients[1]));
    CHECK_OK(close(listener));
}

TEST(stream_data, "Bytes go both ways by every call; MSG_PEEK leaves them, FIONREAD counts them.")
{
    EACH_FAMILY(family)
    {
        char buffer[16] = "", other[8] = "";
        struct iovec vectors[2] = {{buffer, 2}, {other, 6}};
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
        union address from;
        socklen_t bytes = sizeof(from);
        int pair[2], count;

        REQUIRE(connected_pair(family, pair));
        CHECK_EQ(poll_now(pair[0]), POLLOUT);
        CHECK_EQ(write(pair[0], "ab", 2), 2);
        CHECK_EQ(send(pair[0], "cd", 2, 0), 2);
        CHECK_EQ(sendto(pair[0], "ef", 2, 0, NULL, 0), 2);
        struct iovec out[2] = {{"g", 1}, {"h", 1}};
        struct msghdr sent = {.msg_iov = out, .msg_iovlen = 2};
        CHECK_EQ(sendmsg(pair[0], &sent, MSG_DONTWAIT), 2);
        CHECK_EQ(writev(pair[0], out, 2), 2);
        CHECK_EQ(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL), 10);
        CHECK_OK(memcmp(buffer, "abcdefghgh", 10));
        CHECK_OK(ioctl(pair[1], FIONREAD, &count));
        CHECK_EQ(count, 10);
        CHECK_EQ(poll_now(pair[1]), POLLIN | POLLOUT);
        CHECK_EQ(read(pair[1], buffer, 1), 1);
        CHECK_EQ(buffer[0], 'a');
        memset(&from, 0, sizeof(from));
        CHECK_EQ(recvfrom(pair[1], buffer, 1, 0, &from.any, &bytes), 1);
        CHECK_EQ(bytes, 0);
        CHECK_EQ(recvmsg(pair[1], &message, 0), 8);
        CHECK_EQ(message.msg_flags, 0);
        CHECK_EQ(message.msg_controllen, 0);
        CHECK(memcmp(buffer, "cd", 2) == 0 && memcmp(other, "efghgh", 6) == 0);
        CHECK_FAILS(recv(pair[1], buffer, 1, MSG_DONTWAIT), EAGAIN);
        CHECK_EQ(send(pair[1], "back", 4, 0), 4);
        CHECK_EQ(recv(pair[0], buffer, 16, 0), 4);
        CHECK_EQ(send(pair[1], "xyz", 3, 0), 3);
        CHECK_EQ(recv(pair[0], NULL, 3, MSG_TRUNC | MSG_WAITALL), 3); /* thrown away */
        CHECK_EQ(read(pair[0], buffer, 0), 0);
        CHECK_EQ(send(pair[0], buffer, 0, 0), 0);
        CHECK_FAILS(recv(pair[0], buffer, 1, MSG_OOB), EINVAL);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
}

static void *send_in_parts(void *fd)
{
    for (int i = 0; i < 5; i++) {
        sleep_ms(10);
        CHECK_EQ(send((int)(intptr_t)fd, "0123456789", 10, 0), 10);
    }
    return NULL;
}

TEST(stream_waitall, "MSG_WAITALL waits for all, but for no more than there will be.")
{
    char buffer[64];
    int pair[2];

    REQUIRE(connected_pair(AF_INET, pair));
    struct worker *worker = worker_start(send_in_parts, (void *)(intptr_t)pair[0]);
    CHECK_EQ(recv(pair[1], buffer, 35, MSG_WAITALL), 35);
    worker_join(worker);
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_EQ(recv(pair[1], buffer, sizeof(buffer), MSG_WAITALL), 15);
    CHECK_EQ(recv(pair[1], buffer, sizeof(buffer), MSG_WAITALL), 0);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
}

TEST(stream_timeouts, "SO_RCVTIMEO and SO_SNDTIMEO end a wait with EAGAIN, no sooner.")
{
    static char block[65536];
    union address address;
    struct timeval time = {1, 1000000};
    socklen_t bytes = sizeof(time);
    int pair[2], listener = listening_socket(AF_INET, &address);
    uint64_t start;

    REQUIRE(connected_pair(AF_INET, pair));
    CHECK_FAILS(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), EDOM);
    CHECK_FAILS(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, 4), EINVAL);
    CHECK_OK(set_timeout(pair[0], SO_RCVTIMEO, 1500));
    CHECK_OK(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, &bytes));
    CHECK_EQ(bytes, sizeof(time));
    CHECK_EQ(time.tv_sec, 1);
    CHECK_EQ(time.tv_usec, 500000);
    CHECK_OK(set_timeout(pair[0], SO_RCVTIMEO, 40));
    CHECK_OK(set_timeout(pair[0], SO_SNDTIMEO, 40));
    CHECK_OK(set_timeout(listener, SO_RCVTIMEO, 40));
    start = now_ms();
    CHECK_FAILS(recv(pair[0], block, 1, 0), EAGAIN);
    CHECK_GE(now_ms() - start, 39);
    start = now_ms();
    CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
    CHECK_GE(now_ms() - start, 39);
    ssize_t n, total = 0;
    start = now_ms();
    while ((n = send(pair[0], block, sizeof(block), 0)) > 0)
        total += n;
    CHECK_EQ(errno, EAGAIN);
    CHECK_GE(total, sizeof(block));
    CHECK_GE(now_ms() - start, 39);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    CHECK_OK(close(listener));
}

TEST(stream_nonblock,
     "A connection that does not block takes what fits, and says when there is room.")
{
    static char block[65536];
    int pair[2], on = 1;
    ssize_t n, sent = 0, received = 0;

    REQUIRE(connected_pair(AF_INET6, pair));
    CHECK_OK(ioctl(pair[0], FIONBIO, &on));
    CHECK_OK(ioctl(pair[1], FIONBIO, &on));
    CHECK_FAILS(read(pair[1], block, 1), EAGAIN);
    for (int turn = 0; turn < 3; turn++) {
        while ((n = write(pair[0], block, sizeof(block))) > 0)
            sent += n;
        CHECK_EQ(errno, EAGAIN);
        sleep_ms(20);
        while ((n = write(pair[0], block, sizeof(block))) > 0)
            sent += n;
        CHECK_EQ(poll_now(pair[0]) & POLLOUT, 0);
        while (received < sent) {
            CHECK_EQ(poll_for(pair[1], POLLIN), POLLIN);
            while ((n = read(pair[1], block, sizeof(block))) > 0)
                received += n;
            CHECK_EQ(errno, EAGAIN);
        }
        CHECK_EQ(received, sent);
        CHECK_EQ(poll_for(pair[0], POLLOUT), POLLOUT);
    }
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
}

#define STREAM_BYTES (3 << 20)

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void *send_stream(void *fd)
{
    static unsigned char block[100000];

    for (size_t at = 0; at < STREAM_BYTES && !test_has_failed();) {
        size_t bytes = at % 7 * 10000 + 1234;
        if (bytes > STREAM_BYTES - at)
            bytes = STREAM_BYTES - at;
        for (size_t i = 0; i < bytes; i++)
            block[i] = pattern(at + i);
        CHECK_EQ(send((int)(intptr_t)fd, block, bytes, 0), bytes); /* all of it: it blocks */
        at += bytes;
    }
    CHECK_OK(shutdown((int)(intptr_t)fd, SHUT_WR));
    return NULL;
}

TEST(stream_bulk, "Megabytes arrive whole and in order, in both directions at once.")
{
    EACH_FAMILY(family)
    {
        static unsigned char block[50000];
        int pair[2];
        ssize_t n;
        size_t at = 0;

        REQUIRE(connected_pair(family, pair));
        struct worker *worker = worker_start(send_stream, (void *)(intptr_t)pair[0]);
        while ((n = recv(pair[1], block, 1 + at % sizeof(block), 0)) > 0) {
            for (ssize_t i = 0; i < n; i++, at++)
                if (block[i] != pattern(at))
                    return FAIL("byte %zu is wrong", at);
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(at, STREAM_BYTES);
        worker_join(worker);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
}

TEST(stream_shutdown, "shutdown ends one direction at a time; poll tells how far it is.")
{
    EACH_FAMILY(family)
    {
        int pair[2];
        char byte;

        REQUIRE(connected_pair(family, pair));
        CHECK_EQ(write(pair[0], "x", 1), 1);
        CHECK_OK(shutdown(pair[0], SHUT_WR));
        CHECK_FAILS(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
        CHECK_EQ(poll_for(pair[1], POLLRDHUP), POLLRDHUP);
        CHECK_EQ(poll_now(pair[1]), POLLIN | POLLOUT | POLLRDHUP);
        CHECK_EQ(read(pair[1], &byte, 1), 1);
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_EQ(write(pair[1], "yz", 2), 2); /* the other direction is open */
        CHECK_EQ(read(pair[0], &byte, 1), 1);
        CHECK_OK(shutdown(pair[1], SHUT_WR));
        CHECK_EQ(poll_now(pair[1]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
        CHECK_EQ(read(pair[0], &byte, 1), 1);
        CHECK_EQ(read(pair[0], &byte, 1), 0);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));

        REQUIRE(connected_pair(family, pair));
        CHECK_OK(shutdown(pair[0], SHUT_RD));
        CHECK_EQ(read(pair[0], &byte, 1), 0);
        CHECK_EQ(poll_now(pair[0]), POLLIN | POLLOUT | POLLRDHUP);
        CHECK_EQ(write(pair[0], "x", 1), 1);
        CHECK_EQ(read(pair[1], &byte, 1), 1);
        CHECK_OK(shutdown(pair[0], SHUT_RDWR));
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_EQ(poll_now(pair[0]) & POLLHUP, POLLHUP);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
}

TEST(stream_reset, "A reset is ECONNRESET once, then the end; writing gives EPIPE.")
{
    EACH_FAMILY(family)
    {
        struct linger linger = {1, 0};
        int pair[2];
        char byte;

        REQUIRE(connected_pair(family, pair));
        CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
        CHECK_OK(close(pair[0]));
        CHECK_EQ(poll_for(pair[1], POLLIN) & (POLLERR | POLLHUP | POLLIN),
                 POLLERR | POLLHUP | POLLIN);
        CHECK_FAILS(read(pair[1], &byte, 1), ECONNRESET);
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_FAILS(write(pair[1], "x", 1), EPIPE);
        CHECK_OK(close(pair[1]));

        REQUIRE(connected_pair(family, pair)); /* unread data: close resets */
        CHECK_EQ(write(pair[1], "x", 1), 1);
        CHECK_EQ(poll_for(pair[0], POLLIN), POLLIN);
        CHECK_OK(close(pair[0]));
        CHECK_EQ(poll_for(pair[1], POLLRDHUP) & POLLERR, POLLERR);
        CHECK_EQ(get_option(pair[1], SOL_SOCKET, SO_ERROR), ECONNRESET);
        CHECK_EQ(get_option(pair[1], SOL_SOCKET, SO_ERROR), 0);
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_OK(close(pair[1]));

        REQUIRE(connected_pair(family, pair)); /* writing to who is gone */
        CHECK_OK(close(pair[0]));
        CHECK_EQ(poll_for(pair[1], POLLRDHUP), POLLRDHUP);
        CHECK_EQ(write(pair[1], "x", 1), 1);
        CHECK_EQ(poll_for(pair[1], POLLPRI) & POLLERR, POLLERR);
        CHECK_FAILS(write(pair[1], "x", 1), EPIPE);
        CHECK_EQ(read(pair[1], &byte, 1), 0);
        CHECK_OK(close(pair[1]));
    }
}

TEST(stream_options, "Options keep what they are given, and refuse what is none.")
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), six = socket(AF_INET6, SOCK_STREAM, 0);
    struct linger linger = {1, 7};
    socklen_t bytes = sizeof(linger);
    unsigned char byte = 17;
    char name[64];
    static const struct {
        int level, option, value;
    } flags[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1}, {SOL_SOCKET, SO_KEEPALIVE, 1}, {SOL_SOCKET, SO_BROADCAST, 1},
        {SOL_SOCKET, SO_REUSEPORT, 1}, {IPPROTO_TCP, TCP_NODELAY, 1}, {IPPROTO_TCP, TCP_CORK, 1},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CHECK_EQ(get_option(fd, flags[i].level, flags[i].option), 0);
        CHECK_OK(set_option(fd, flags[i].level, flags[i].option, 5));
        CHECK_EQ(get_option(fd, flags[i].level, flags[i].option), 1);
        CHECK_OK(set_option(fd, flags[i].level, flags[i].option, 0));
        CHECK_EQ(get_option(fd, flags[i].level, flags[i].option), 0);
    }
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
    CHECK_OK(set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60));
    CHECK_OK(set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5));
    CHECK_OK(set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3));
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    CHECK_EQ(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    CHECK_FAILS(set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
    CHECK_FAILS(set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);

    CHECK_OK(set_option(fd, SOL_SOCKET, SO_RCVBUF, 20000));
    CHECK_GE(get_option(fd, SOL_SOCKET, SO_RCVBUF), 20000);
    CHECK_OK(set_option(fd, SOL_SOCKET, SO_SNDBUF, 30000));
    CHECK_GE(get_option(fd, SOL_SOCKET, SO_SNDBUF), 30000);

    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_TTL), 64);
    CHECK_OK(set_option(fd, IPPROTO_IP, IP_TTL, 33));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_TTL), 33);
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_TTL), 17);
    CHECK_OK(set_option(fd, IPPROTO_IP, IP_TTL, -1));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_TTL), 64);
    CHECK_FAILS(set_option(fd, IPPROTO_IP, IP_TTL, 0), EINVAL);
    CHECK_FAILS(set_option(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
    CHECK_OK(set_option(fd, IPPROTO_IP, IP_TOS, 0x10));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_TOS), 0x10);
    CHECK_OK(set_option(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 12));
    CHECK_EQ(get_option(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 12);
    CHECK_OK(set_option(six, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK_EQ(get_option(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);

    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &bytes));
    CHECK_EQ(linger.l_onoff, 0);
    linger = (struct linger){1, 7};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    linger = (struct linger){0};
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &bytes));
    CHECK(linger.l_onoff == 1 && linger.l_linger == 7);
    CHECK_FAILS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4), EINVAL);

    CHECK_FAILS(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &linger, 2), EINVAL);
    CHECK_FAILS(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4), EFAULT);
    CHECK_FAILS(set_option(fd, SOL_SOCKET, 9999, 1), ENOPROTOOPT);
    CHECK_FAILS(set_option(fd, 9999, 1, 1), ENOPROTOOPT);
    CHECK_FAILS(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
    CHECK_FAILS(get_option(fd, SOL_SOCKET, 9999), ENOPROTOOPT);
    CHECK_FAILS(set_option(fd, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT);
    CHECK_FAILS(set_option(fd, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
    bytes = 1; /* what fits */
    byte = 99;
    CHECK_OK(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &byte, &bytes));
    CHECK(bytes == 1 && byte == 1);
    bytes = sizeof(name);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &bytes));
    CHECK_EQ(bytes, 0);
    CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), 0);
    CHECK_OK(close(fd));
    CHECK_OK(close(six));
}

TEST(stream_dual, "An IPv6 socket serves IPv4, too, with mapped addresses; V6ONLY does not.")
{
    static const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1};
    union address address, four, peer;
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET6, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof(address));
    address.in6.sin6_family = AF_INET6;
    CHECK_OK(set_option(listener, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    CHECK_OK(bind(listener, &address.any, sizeof(address.in6)));
    CHECK_OK(listen(listener, 4));
    CHECK_OK(getsockname(listener, &address.any, &bytes));
    four = loopback(AF_INET, port_of(&address));
    CHECK_OK(connect(fd, &four.any, sizeof(four.in)));
    bytes = sizeof(peer);
    int accepted = accept(listener, &peer.any, &bytes);
    CHECK_EQ(peer.any.sa_family, AF_INET6);
    CHECK_OK(memcmp(&peer.in6.sin6_addr, mapped, 16));
    CHECK_OK(close(accepted));
    CHECK_OK(close(fd));
    fd = socket(AF_INET6, SOCK_STREAM, 0); /* and an IPv6 socket reaches IPv4 */
    peer = loopback(AF_INET6, port_of(&address));
    memcpy(&peer.in6.sin6_addr, mapped, 16);
    CHECK_OK(connect(fd, &peer.any, sizeof(peer.in6)));
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));

    listener = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_OK(set_option(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    address.in6.sin6_port = 0;
    CHECK_OK(bind(listener, &address.any, sizeof(address.in6)));
    CHECK_OK(listen(listener, 4));
    bytes = sizeof(address);
    CHECK_OK(getsockname(listener, &address.any, &bytes));
    four = loopback(AF_INET, port_of(&address));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(connect(fd, &four.any, sizeof(four.in)), ECONNREFUSED);
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
}

/* --- Threads ------------------------------------------------------------------------------------
 */

static void *receive_one(void *fd)
{
    char byte = 0;

    return (void *)(intptr_t)recv((int)(intptr_t)fd, &byte, 1, 0);
}

static void *accept_one(void *fd)
{
    return (void *)(intptr_t)accept((int)(intptr_t)fd, NULL, NULL);
}

TEST(stream_close_under_call, "A socket that is closed under a call serves that call to its end.")
{
    union address address;
    int pair[2], listener = listening_socket(AF_INET, &address), client;

    REQUIRE(connected_pair(AF_INET, pair));
    struct worker *worker = worker_start(receive_one, (void *)(intptr_t)pair[1]);
    sleep_ms(30);
    CHECK_OK(close(pair[1]));
    CHECK_EQ(write(pair[0], "x", 1), 1);
    CHECK_EQ((intptr_t)worker_join(worker), 1);
    CHECK_EQ(poll_for(pair[0], POLLIN) & POLLIN, POLLIN); /* now it is closed */
    CHECK_OK(close(pair[0]));

    worker = worker_start(accept_one, (void *)(intptr_t)listener);
    sleep_ms(30);
    CHECK_OK(close(listener));
    client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(connect(client, &address.any, sizeof(address.in)));
    int fd = (int)(intptr_t)worker_join(worker);
    CHECK_GE(fd, 0);
    CHECK_OK(close(fd));
    CHECK_OK(close(client));
    client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(connect(client, &address.any, sizeof(address.in)), ECONNREFUSED);
    CHECK_OK(close(client));
}

TEST(stream_shutdown_wakes, "shutdown wakes who waits in recv, and in accept.")
{
    union address address;
    int pair[2], listener = listening_socket(AF_INET, &address);

    REQUIRE(connected_pair(AF_INET, pair));
    struct worker *worker = worker_start(receive_one, (void *)(intptr_t)pair[1]);
    sleep_ms(30);
    CHECK_OK(shutdown(pair[1], SHUT_RD));
    CHECK_EQ((intptr_t)worker_join(worker), 0);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    worker = worker_start(accept_one, (void *)(intptr_t)listener);
    sleep_ms(30);
    CHECK_OK(shutdown(listener, SHUT_RD));
    CHECK_EQ((intptr_t)worker_join(worker), -1);
    CHECK_OK(close(listener));
}

static void *echo(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char buffer[512];
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        CHECK_EQ(write(fd, buffer, (size_t)n), n);
    CHECK_EQ(n, 0);
    CHECK_OK(close(fd));
    return NULL;
}

TEST(stream_echo_threads, "Several connections at once, each with a thread of its own.")
{
    enum { CONNECTIONS = 6, ROUNDS = 100 };
    union address address;
    struct worker *workers[CONNECTIONS];
    int fds[CONNECTIONS], listener = listening_socket(AF_INET6, &address);
    char out[300], in[300];

    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = socket(AF_INET6, SOCK_STREAM, 0);
        CHECK_OK(connect(fds[i], &address.any, sizeof(address.in6)));
        CHECK_OK(set_option(fds[i], IPPROTO_TCP, TCP_NODELAY, 1));
        workers[i] = worker_start(echo, (void *)(intptr_t)accept(listener, NULL, NULL));
    }
    for (int round = 0; round < ROUNDS && !test_has_failed(); round++) {
        size_t bytes = 1 + (size_t)round * 3;
        for (int i = 0; i < CONNECTIONS; i++) {
            memset(out, round + i, bytes);
            CHECK_EQ(send(fds[i], out, bytes, 0), bytes);
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            memset(out, round + i, bytes);
            CHECK_EQ(recv(fds[i], in, bytes, MSG_WAITALL), bytes);
            CHECK_OK(memcmp(in, out, bytes));
        }
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_OK(close(fds[i]));
        worker_join(workers[i]);
    }
    CHECK_OK(close(listener));
}

/* --- epoll on sockets ------------------------------------------------------------------------- */

TEST(stream_epoll, "epoll reports connections, data and ends, each edge once if so asked.")
{
    int ep = epoll_create1(0), pair[2];
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = 5}}, got[4];
    union address address;
    char buffer[8];

    int listener = listening_socket(AF_INET, &address);
    struct epoll_event on_listener = {EPOLLIN, {.u32 = 6}};
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &on_listener));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(connect(client, &address.any, sizeof(address.in)));
    CHECK_EQ(epoll_wait(ep, got, 4, 10000), 1);
    CHECK(got[0].data.u32 == 6 && got[0].events == EPOLLIN);
    int accepted = accept(listener, NULL, NULL);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(close(listener));
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));

    REQUIRE(connected_pair(AF_INET6, pair));
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, pair[1], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, 10000), 1);
    CHECK_EQ(got[0].events, EPOLLOUT);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    for (int i = 0; i < 2; i++) { /* new data is a new edge, although the old is unread */
        CHECK_EQ(write(pair[0], "abc", 3), 3);
        CHECK_EQ(epoll_wait(ep, got, 4, 10000), 1);
        CHECK_EQ(got[0].events & EPOLLIN, EPOLLIN);
        CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    }
    CHECK_EQ(recv(pair[1], buffer, 6, MSG_WAITALL), 6);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(epoll_wait(ep, got, 4, 10000), 1);
    CHECK_EQ(got[0].events & (EPOLLIN | EPOLLRDHUP), EPOLLIN | EPOLLRDHUP);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(close(pair[1]));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(close(ep));
}

TEST(stream_accept_emfile, "With no descriptor left accept fails, and the connection stays.")
{
    union address address;
    int listener = listening_socket(AF_INET, &address), client = socket(AF_INET, SOCK_STREAM, 0);
    int first, last;

    CHECK_OK(connect(client, &address.any, sizeof(address.in)));
    first = dup(listener);
    for (last = first; dup(1) >= 0;)
        last++;
    CHECK_FAILS(accept(listener, NULL, NULL), EMFILE);
    CHECK_FAILS(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    for (int fd = first; fd <= last; fd++)
        CHECK_OK(close(fd));
    int fd = accept(listener, NULL, NULL);
    CHECK_GE(fd, 0);
    CHECK_OK(close(fd));
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}
