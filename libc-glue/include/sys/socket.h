/*
 * Sockets. Values and layouts are Linux's (x86-64).
 *
 * Families: AF_INET and AF_INET6; of AF_UNIX pairs of streams (socketpair), which pass no
 * descriptors. Others are refused: EAFNOSUPPORT, ESOCKTNOSUPPORT, EOPNOTSUPP. Source: POSIX.1-2017
 * <sys/socket.h>; Linux's socket(7).
 */
#ifndef _SYS_SOCKET_H
#define _SYS_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef uint32_t socklen_t;
#define __socklen_t_defined /* as programs ask that know several systems */
typedef uint16_t sa_family_t;

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL AF_UNIX
#define AF_FILE AF_UNIX
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_MAX 46
#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_LOCAL
#define PF_INET AF_INET
#define PF_INET6 AF_INET6
#define PF_NETLINK AF_NETLINK
#define PF_PACKET AF_PACKET

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_RDM 4
#define SOCK_SEQPACKET 5
/* Or-ed to the type. */
#define SOCK_NONBLOCK 04000
#define SOCK_CLOEXEC 02000000

#define SOMAXCONN 4096

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2

/* Options. */
#define SOL_SOCKET 1
#define SO_DEBUG 1
#define SO_REUSEADDR 2
#define SO_TYPE 3
#define SO_ERROR 4
#define SO_DONTROUTE 5
#define SO_BROADCAST 6
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define SO_KEEPALIVE 9
#define SO_OOBINLINE 10
#define SO_PRIORITY 12
#define SO_LINGER 13
#define SO_REUSEPORT 15 /* of datagram sockets as SO_REUSEADDR; of streams remembered only */
#define SO_RCVLOWAT 18
#define SO_SNDLOWAT 19
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#define SO_BINDTODEVICE 25
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL 38
#define SO_DOMAIN 39

struct linger {
    int l_onoff;
    int l_linger; /* seconds */
};

/* Flags of send and recv. */
#define MSG_OOB 0x01
#define MSG_PEEK 0x02
#define MSG_DONTROUTE 0x04
#define MSG_CTRUNC 0x08
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_CONFIRM 0x800
#define MSG_ERRQUEUE 0x2000
#define MSG_NOSIGNAL 0x4000
#define MSG_MORE 0x8000
#define MSG_WAITFORONE 0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

struct sockaddr {
    sa_family_t sa_family;
    char sa_data[14];
};

struct sockaddr_storage {
    sa_family_t ss_family;
    char __ss_padding[118];
    unsigned long __ss_align;
};

struct msghdr {
    void *msg_name;
    socklen_t msg_namelen;
    struct iovec *msg_iov;
    size_t msg_iovlen;
    void *msg_control;
    size_t msg_controllen;
    int msg_flags;
};

struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};

/* Control messages: a header, padding, data, padding. */
struct cmsghdr {
    size_t cmsg_len;
    int cmsg_level;
    int cmsg_type;
};

#define SCM_RIGHTS 1

#define CMSG_ALIGN(bytes) (((bytes) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define CMSG_SPACE(bytes) (CMSG_ALIGN(bytes) + CMSG_ALIGN(sizeof(struct cmsghdr)))
#define CMSG_LEN(bytes) (CMSG_ALIGN(sizeof(struct cmsghdr)) + (bytes))
#define CMSG_DATA(header) ((unsigned char *)((struct cmsghdr *)(header) + 1))
#define CMSG_FIRSTHDR(message)                                                                     \
    ((message)->msg_controllen >= sizeof(struct cmsghdr)                                           \
         ? (struct cmsghdr *)(message)->msg_control                                                \
         : (struct cmsghdr *)0)
#define __CMSG_END(message) ((unsigned char *)(message)->msg_control + (message)->msg_controllen)
#define CMSG_NXTHDR(message, header)                                                               \
    ((header)->cmsg_len < sizeof(struct cmsghdr) ||                                                \
             CMSG_ALIGN((header)->cmsg_len) + sizeof(struct cmsghdr) >                             \
                 (size_t)(__CMSG_END(message) - (unsigned char *)(header))                         \
         ? (struct cmsghdr *)0                                                                     \
         : (struct cmsghdr *)((unsigned char *)(header) + CMSG_ALIGN((header)->cmsg_len)))

struct timespec;

__BEGIN_DECLS

int socket(int family, int type, int protocol);
int socketpair(int family, int type, int protocol, int fds[2]);
int bind(int fd, const struct sockaddr *address, socklen_t bytes);
int listen(int fd, int backlog);
int accept(int fd, struct sockaddr *__restrict address, socklen_t *__restrict bytes);
int accept4(int fd, struct sockaddr *__restrict address, socklen_t *__restrict bytes, int flags);
int connect(int fd, const struct sockaddr *address, socklen_t bytes);
int shutdown(int fd, int how);

ssize_t send(int fd, const void *data, size_t bytes, int flags);
ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
               socklen_t to_bytes);
ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t recv(int fd, void *data, size_t bytes, int flags);
ssize_t recvfrom(int fd, void *__restrict data, size_t bytes, int flags,
                 struct sockaddr *__restrict from, socklen_t *__restrict from_bytes);
ssize_t recvmsg(int fd, struct msghdr *message, int flags);
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);

int getsockname(int fd, struct sockaddr *__restrict address, socklen_t *__restrict bytes);
int getpeername(int fd, struct sockaddr *__restrict address, socklen_t *__restrict bytes);
int getsockopt(int fd, int level, int option, void *__restrict value, socklen_t *__restrict bytes);
int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int sockatmark(int fd);

__END_DECLS

#endif
