/*
 * UDP sockets over loopback.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/posix/loopback.h"

TEST(datagram_data, "A datagram arrives whole or cut, with its sender's address; empty ones, too.")
{
    EACH_FAMILY(family)
    {
        union address to, from, got;
        socklen_t bytes = sizeof(got);
        char buffer[16];
        int count;
        int a = bound_socket(family, SOCK_DGRAM, &from), b = bound_socket(family, SOCK_DGRAM, &to);

        CHECK_EQ(poll_now(b), POLLOUT);
        CHECK_EQ(sendto(a, "hello", 5, 0, &to.any, address_bytes(family)), 5);
        CHECK_EQ(sendto(a, "", 0, 0, &to.any, address_bytes(family)), 0);
        CHECK_EQ(sendto(a, "long one", 8, 0, &to.any, address_bytes(family)), 8);
        CHECK_EQ(sendto(a, "long two", 8, 0, &to.any, address_bytes(family)), 8);
        CHECK_EQ(poll_for(b, POLLIN) & POLLIN, POLLIN);
        CHECK_OK(ioctl(b, FIONREAD, &count));
        CHECK_EQ(count, 5);
        CHECK_EQ(recv(b, buffer, 2, MSG_PEEK), 2);
        CHECK_EQ(recvfrom(b, buffer, sizeof(buffer), 0, &got.any, &bytes), 5);
        CHECK_OK(memcmp(buffer, "hello", 5));
        CHECK_EQ(bytes, address_bytes(family));
        CHECK_OK(memcmp(&got, &from, bytes));
        CHECK_EQ(recv(b, buffer, sizeof(buffer), 0), 0);
        CHECK_EQ(recv(b, buffer, 4, MSG_TRUNC), 8);
        struct iovec vectors[2] = {{buffer, 3}, {buffer + 3, 2}};
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
        CHECK_EQ(recvmsg(b, &message, 0), 5);
        CHECK_EQ(message.msg_flags, MSG_TRUNC);
        CHECK_OK(memcmp(buffer, "long ", 5));
        CHECK_FAILS(recv(b, buffer, 1, MSG_DONTWAIT), EAGAIN);
        CHECK_OK(close(a));
        CHECK_OK(close(b));
    }
}

TEST(datagram_connect, "A connected socket hears its peer only; AF_UNSPEC lets it go.")
{
    EACH_FAMILY(family)
    {
        union address to, from, other, got;
        socklen_t bytes = address_bytes(family), got_bytes = sizeof(got);
        char buffer[8];
        int a = bound_socket(family, SOCK_DGRAM, &from), b = bound_socket(family, SOCK_DGRAM, &to);
        int c = bound_socket(family, SOCK_DGRAM, &other);

        CHECK_FAILS(send(a, "x", 1, 0), EDESTADDRREQ);
        CHECK_FAILS(write(a, "x", 1), EDESTADDRREQ);
        CHECK_FAILS(getpeername(a, &got.any, &got_bytes), ENOTCONN);
        CHECK_FAILS(listen(a, 1), EOPNOTSUPP);
        CHECK_FAILS(accept(a, NULL, NULL), EOPNOTSUPP);
        CHECK_OK(connect(a, &to.any, bytes));
        CHECK_OK(getpeername(a, &got.any, &got_bytes));
        CHECK_OK(memcmp(&got, &to, bytes));
        CHECK_EQ(send(a, "to b", 4, 0), 4);
        CHECK_EQ(recv(b, buffer, sizeof(buffer), 0), 4);
        CHECK_EQ(sendto(c, "c", 1, 0, &from.any, bytes), 1); /* not from the peer: dropped */
        CHECK_EQ(sendto(b, "b", 1, 0, &from.any, bytes), 1);
        CHECK_EQ(recv(a, buffer, sizeof(buffer), 0), 1);
        CHECK_EQ(buffer[0], 'b');
        CHECK_EQ(sendto(a, "to c", 4, 0, &other.any, bytes), 4);
        CHECK_EQ(recv(c, buffer, sizeof(buffer), 0), 4);
        CHECK_OK(connect(a, &other.any, bytes));
        CHECK_EQ(send(a, "c", 1, 0), 1);
        CHECK_EQ(recv(c, buffer, sizeof(buffer), 0), 1);
        struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        CHECK_OK(connect(a, &nobody, sizeof(nobody)));
        CHECK_FAILS(getpeername(a, &got.any, &got_bytes), ENOTCONN);
        CHECK_FAILS(send(a, "x", 1, 0), EDESTADDRREQ);
        CHECK_OK(close(a));
        CHECK_OK(close(b));
        CHECK_OK(close(c));
    }
}

TEST(datagram_refused, "Nobody at the other end is ECONNREFUSED, once.")
{
    EACH_FAMILY(family)
    {
        union address to;
        char byte;
        int gone = bound_socket(family, SOCK_DGRAM, &to), fd = socket(family, SOCK_DGRAM, 0);

        CHECK_OK(close(gone));
        CHECK_OK(connect(fd, &to.any, address_bytes(family)));
        CHECK_EQ(send(fd, "x", 1, 0), 1);
        CHECK_EQ(poll_for(fd, POLLIN) & POLLERR, POLLERR);
        CHECK_FAILS(recv(fd, &byte, 1, 0), ECONNREFUSED);
        CHECK_FAILS(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
        CHECK_EQ(send(fd, "x", 1, 0), 1);
        CHECK_EQ(poll_for(fd, POLLIN) & POLLERR, POLLERR);
        CHECK_EQ(get_option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
        CHECK_EQ(poll_now(fd), POLLOUT);
        CHECK_OK(close(fd));
    }
}

TEST(datagram_sizes, "The largest datagram goes through; a larger one is EMSGSIZE.")
{
    static char block[70000], got[70000];
    union address to;
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound_socket(AF_INET, SOCK_DGRAM, &to);

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 7 >> 2);
    CHECK_EQ(sendto(a, block, 65507, 0, &to.any, sizeof(to.in)), 65507);
    CHECK_EQ(recv(b, got, sizeof(got), 0), 65507);
    CHECK_OK(memcmp(block, got, 65507));
    CHECK_FAILS(sendto(a, block, 65508, 0, &to.any, sizeof(to.in)), EMSGSIZE);
    CHECK_OK(close(a));
    CHECK_OK(close(b));
}

TEST(datagram_errors, "Bad addresses, and broadcast without leave, are refused.")
{
    union address to = loopback(AF_INET, 9), six = loopback(AF_INET6, 9);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_FAILS(sendto(fd, "x", 1, 0, &to.any, 4), EINVAL);
    CHECK_FAILS(sendto(fd, "x", 1, 0, &six.any, sizeof(six.in6)), EAFNOSUPPORT);
    to.in.sin_port = 0;
    CHECK_FAILS(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), EINVAL);
    to.in.sin_port = htons(9);
    CHECK_FAILS(sendto(fd, "x", 1, MSG_OOB, &to.any, sizeof(to.in)), EOPNOTSUPP);
    to.in.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    CHECK_EQ(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), -1);
    CHECK(errno == EACCES || errno == ENETUNREACH);
    CHECK_OK(close(fd));
}

TEST(datagram_packet_info, "IP_PKTINFO and IPV6_RECVPKTINFO tell to which address it was sent.")
{
    EACH_FAMILY(family)
    {
        union address to;
        char buffer[4], control[64];
        int a = socket(family, SOCK_DGRAM, 0), b = bound_socket(family, SOCK_DGRAM, &to);
        struct iovec vector = {buffer, sizeof(buffer)};
        struct msghdr message = {
            .msg_iov = &vector,
            .msg_iovlen = 1,
            .msg_control = control,
            .msg_controllen = sizeof(control),
        };

        CHECK_OK(family == AF_INET ? set_option(b, IPPROTO_IP, IP_PKTINFO, 1)
                                   : set_option(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
        CHECK_EQ(sendto(a, "x", 1, 0, &to.any, address_bytes(family)), 1);
        CHECK_EQ(sendto(a, "y", 1, 0, &to.any, address_bytes(family)), 1);
        CHECK_EQ(recvmsg(b, &message, 0), 1);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        REQUIRE(header != NULL);
        if (family == AF_INET) {
            struct in_pktinfo info;
            CHECK_EQ(header->cmsg_level, IPPROTO_IP);
            CHECK_EQ(header->cmsg_type, IP_PKTINFO);
            CHECK_EQ(header->cmsg_len, CMSG_LEN(sizeof(info)));
            memcpy(&info, CMSG_DATA(header), sizeof(info));
            CHECK_EQ(info.ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
            CHECK_NE(info.ipi_ifindex, 0);
        } else {
            struct in6_pktinfo info;
            CHECK_EQ(header->cmsg_level, IPPROTO_IPV6);
            CHECK_EQ(header->cmsg_type, IPV6_PKTINFO);
            memcpy(&info, CMSG_DATA(header), sizeof(info));
            CHECK_OK(memcmp(&info.ipi6_addr, &in6addr_loopback, 16));
            CHECK_NE(info.ipi6_ifindex, 0);
        }
        CHECK(CMSG_NXTHDR(&message, header) == NULL);
        message.msg_controllen = 8; /* no room */
        CHECK_EQ(recvmsg(b, &message, 0), 1);
        CHECK_EQ(message.msg_flags, MSG_CTRUNC);
        CHECK_OK(close(a));
        CHECK_OK(close(b));
    }
}

TEST(datagram_many, "sendmmsg and recvmmsg move several datagrams in one call.")
{
    union address to;
    char out[4][3] = {"ab", "cd", "ef", "gh"}, in[6][4];
    struct iovec out_vectors[4], in_vectors[6];
    struct mmsghdr sent[4], received[6];
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound_socket(AF_INET, SOCK_DGRAM, &to);

    memset(sent, 0, sizeof(sent));
    memset(received, 0, sizeof(received));
    for (int i = 0; i < 4; i++) {
        out_vectors[i] = (struct iovec){out[i], (size_t)(i % 2 + 1)};
        sent[i].msg_hdr = (struct msghdr){.msg_name = &to,
                                          .msg_namelen = sizeof(to.in),
                                          .msg_iov = &out_vectors[i],
                                          .msg_iovlen = 1};
    }
    for (int i = 0; i < 6; i++) {
        in_vectors[i] = (struct iovec){in[i], sizeof(in[i])};
        received[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
    }
    CHECK_EQ(sendmmsg(a, sent, 4, 0), 4);
    CHECK_EQ(sent[1].msg_len, 2);
    sleep_ms(20);
    CHECK_EQ(recvmmsg(b, received, 6, MSG_WAITFORONE, NULL), 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(received[i].msg_len, i % 2 + 1);
        CHECK_EQ(in[i][0], out[i][0]);
    }
    CHECK_FAILS(recvmmsg(b, received, 6, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_OK(close(a));
    CHECK_OK(close(b));
}

static void *receive_one(void *fd)
{
    char byte;

    return (void *)(intptr_t)recv((int)(intptr_t)fd, &byte, 1, 0);
}

TEST(datagram_waits, "recv waits for a datagram, for its time-out, or for shutdown.")
{
    union address to;
    struct timeval time = {0, 40000};
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = bound_socket(AF_INET, SOCK_DGRAM, &to);
    char byte;

    struct worker *worker = worker_start(receive_one, (void *)(intptr_t)b);
    sleep_ms(20);
    CHECK_EQ(sendto(a, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_EQ((intptr_t)worker_join(worker), 1);
    CHECK_OK(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
    uint64_t start = now_ms();
    CHECK_FAILS(recv(b, &byte, 1, 0), EAGAIN);
    CHECK_GE(now_ms() - start, 39);
    time.tv_usec = 0;
    CHECK_OK(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
    worker = worker_start(receive_one, (void *)(intptr_t)b);
    sleep_ms(20);
    CHECK_FAILS(shutdown(b, SHUT_RD), ENOTCONN); /* but it works */
    CHECK_EQ((intptr_t)worker_join(worker), 0);
    CHECK_OK(close(a));
    CHECK_OK(close(b));
}

TEST(datagram_reuse, "Two sockets share a port if both say SO_REUSEADDR.")
{
    union address address;
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t bytes = sizeof(address);

    address = loopback(AF_INET, 0);
    CHECK_OK(set_option(a, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(bind(a, &address.any, sizeof(address.in)));
    CHECK_OK(getsockname(a, &address.any, &bytes));
    CHECK_FAILS(bind(b, &address.any, sizeof(address.in)), EADDRINUSE);
    CHECK_OK(set_option(b, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(bind(b, &address.any, sizeof(address.in)));
    CHECK_OK(close(a));
    CHECK_OK(close(b));
}

TEST(datagram_multicast, "Options of groups keep what they are given; what is no group is refused.")
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0);
    struct ip_mreq group = {{htonl(0xe0000119)}, {htonl(INADDR_LOOPBACK)}};
    unsigned char byte = 7;

    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &byte, 1));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_MULTICAST_TTL), 7);
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    CHECK_OK(set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0));
    CHECK_EQ(get_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    CHECK_OK(set_option(six, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 9));
    CHECK_EQ(get_option(six, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 9);
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
    CHECK_FAILS(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EADDRINUSE);
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)));
    CHECK_FAILS(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)),
                EADDRNOTAVAIL);
    group.imr_multiaddr.s_addr = htonl(0x7f000001);
    CHECK_FAILS(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EINVAL);
    CHECK_FAILS(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 3), EINVAL);
    CHECK_OK(close(fd));
    CHECK_OK(close(six));
}
