/*
 * Descriptors: which one is given out, what names the same file, what is refused.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/check.h"

TEST(fd_lowest, "A new descriptor is the lowest free one.")
{
    int a = dup(1), b = dup(1), c = dup(1);

    CHECK(a > 2 && b > a && c > b);
    CHECK_OK(close(b));
    CHECK_EQ(dup(1), b);
    CHECK_OK(close(c));
    CHECK_OK(close(a));
    CHECK_EQ(dup(1), a);
    CHECK_EQ(dup(1), c);
    CHECK_OK(close(a));
    CHECK_OK(close(b));
    CHECK_OK(close(c));
    CHECK_FAILS(close(c), EBADF);
}

TEST(fd_bad, "What is no open descriptor is refused by every call.")
{
    static const int bad[] = {-1, 1000, 1 << 20, INT_MAX, INT_MIN};
    struct iovec vector = {NULL, 0};
    struct stat info;
    char byte;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_FAILS(read(bad[i], &byte, 1), EBADF);
        CHECK_FAILS(write(bad[i], &byte, 1), EBADF);
        CHECK_FAILS(readv(bad[i], &vector, 1), EBADF);
        CHECK_FAILS(writev(bad[i], &vector, 1), EBADF);
        CHECK_FAILS(pread(bad[i], &byte, 1, 0), EBADF);
        CHECK_FAILS(pwrite(bad[i], &byte, 1, 0), EBADF);
        CHECK_FAILS(lseek(bad[i], 0, SEEK_SET), EBADF);
        CHECK_FAILS(fstat(bad[i], &info), EBADF);
        CHECK_FAILS(dup(bad[i]), EBADF);
        CHECK_FAILS(dup2(bad[i], 5), EBADF);
        CHECK_FAILS(dup2(bad[i], bad[i]), EBADF);
        CHECK_FAILS(fcntl(bad[i], F_GETFD), EBADF);
        CHECK_FAILS(fcntl(bad[i], F_GETFL), EBADF);
        CHECK_FAILS(fcntl(bad[i], F_DUPFD, 0), EBADF);
        CHECK_FAILS(ioctl(bad[i], FIONREAD, &info), EBADF);
        CHECK_FAILS(close(bad[i]), EBADF);
    }
    CHECK_FAILS(dup2(1, -1), EBADF);
    CHECK_FAILS(dup2(1, INT_MAX), EBADF);
}

TEST(fd_dup2, "dup2 and dup3 replace what the second descriptor names.")
{
    int a = dup(1);

    REQUIRE_GE(a, 3);
    CHECK_EQ(dup2(1, a), a);
    CHECK_EQ(dup2(a, a), a);
    CHECK_EQ(dup2(1, 300), 300);
    CHECK_EQ(fcntl(300, F_GETFD), 0);
    CHECK_EQ(dup3(1, 300, O_CLOEXEC), 300);
    CHECK_EQ(fcntl(300, F_GETFD), FD_CLOEXEC);
    CHECK_FAILS(dup3(1, 1, 0), EINVAL);
    CHECK_FAILS(dup3(1, 300, O_APPEND), EINVAL);
    CHECK_OK(close(300));
    CHECK_OK(close(a));
}

TEST(fd_fcntl, "fcntl duplicates, and keeps the flags of descriptors and of files apart.")
{
    int a = fcntl(1, F_DUPFD, 10), b = fcntl(1, F_DUPFD, 10);

    CHECK_EQ(a, 10);
    CHECK_EQ(b, 11);
    CHECK_EQ(fcntl(a, F_GETFD), 0);
    CHECK_OK(fcntl(a, F_SETFD, FD_CLOEXEC));
    CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(b, F_GETFD), 0);
    CHECK_OK(fcntl(a, F_SETFD, 0));
    CHECK_EQ(fcntl(a, F_GETFD), 0);
    CHECK_OK(close(b));
    CHECK_EQ(fcntl(1, F_DUPFD_CLOEXEC, 11), 11);
    CHECK_EQ(fcntl(11, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(dup2(a, 11), 11);
    CHECK_EQ(fcntl(11, F_GETFD), 0);
    CHECK_FAILS(fcntl(1, F_DUPFD, -1), EINVAL);
    CHECK_FAILS(fcntl(1, F_DUPFD, INT_MAX), EINVAL);
    CHECK_FAILS(fcntl(1, 9999), EINVAL);
    CHECK_OK(close(a));
    CHECK_OK(close(11));
}

TEST(fd_nonblock, "O_NONBLOCK belongs to the file; ioctl and fcntl set it; the access mode stays.")
{
    int a = dup(1), on = 1, off = 0;
    int flags = fcntl(1, F_GETFL);

    REQUIRE_GE(a, 0);
    CHECK_EQ(flags & O_NONBLOCK, 0);
    CHECK_OK(fcntl(a, F_SETFL, O_NONBLOCK));
    CHECK_EQ(fcntl(1, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(1, F_GETFL) & O_ACCMODE, flags & O_ACCMODE);
    CHECK_OK(ioctl(1, FIONBIO, &off));
    CHECK_EQ(fcntl(a, F_GETFL) & O_NONBLOCK, 0);
    CHECK_OK(ioctl(1, FIONBIO, &on));
    CHECK_EQ(fcntl(a, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_OK(fcntl(1, F_SETFL, flags));
    CHECK_OK(close(a));
}

TEST(fd_vectors, "Vectors that are too many or too long are refused.")
{
    static struct iovec vectors[IOV_MAX + 1];
    static char text[4] = "ok\n";
    volatile int negative = -1; /* the compiler would refuse it */

    CHECK_FAILS(writev(1, vectors, negative), EINVAL);
    CHECK_FAILS(writev(1, vectors, IOV_MAX + 1), EINVAL);
    CHECK_EQ(writev(1, vectors, 0), 0);
    CHECK_EQ(writev(1, vectors, IOV_MAX), 0);
    vectors[1] = (struct iovec){text, SIZE_MAX};
    CHECK_FAILS(writev(1, vectors, 2), EINVAL);
    vectors[0] = (struct iovec){text, 1};
    vectors[1] = (struct iovec){NULL, 0};
    vectors[2] = (struct iovec){text + 1, 2};
    CHECK_EQ(writev(1, vectors, 3), 3);
}

TEST(fd_many, "Thousands of descriptors, lowest first, and none is left.")
{
    enum { COUNT = 3000 };
    static int fds[COUNT];

    for (int i = 0; i < COUNT; i++) {
        REQUIRE_GE(fds[i] = dup(1), 3);
        REQUIRE(i == 0 || fds[i] > fds[i - 1]);
    }
    for (int i = 1; i < COUNT; i += 7)
        CHECK_OK(close(fds[i]));
    for (int i = 1; i < COUNT; i += 7)
        CHECK_EQ(dup(1), fds[i]);
    for (int i = COUNT - 1; i >= 0; i--)
        CHECK_OK(close(fds[i]));
}

TEST(fd_exhaustion, "The last descriptor is followed by EMFILE, and all come back.")
{
    int first = dup(1), fd = first, last = first;

    REQUIRE_GE(first, 3);
    while ((fd = dup(1)) >= 0)
        last = fd;
    CHECK_EQ(errno, EMFILE);
    CHECK_FAILS(dup(1), EMFILE);
    CHECK_FAILS(fcntl(1, F_DUPFD, first), EMFILE);
    CHECK_EQ(dup2(1, last), last);
    CHECK_OK(close(last));
    CHECK_EQ(dup(1), last);
    for (fd = first; fd <= last; fd++)
        CHECK_OK(close(fd));
}

TEST(fd_limit,
     "Below a limit that the program sets itself, every call that opens says EMFILE beyond.")
{
    struct rlimit former, limit;
    int next = dup(1), ends[2];
    struct epoll_event event = {.events = EPOLLIN};

    REQUIRE_GE(next, 3);
    CHECK_OK(close(next));
    REQUIRE_OK(getrlimit(RLIMIT_NOFILE, &former));
    limit = (struct rlimit){(rlim_t)next + 2, former.rlim_max};
    REQUIRE_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(sysconf(_SC_OPEN_MAX), next + 2);
    CHECK_EQ(dup(1), next);
    CHECK_FAILS(pipe(ends), EMFILE);
    CHECK_FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EMFILE);
    CHECK_EQ(dup(1), next + 1);
    CHECK_FAILS(dup(1), EMFILE);
    CHECK_FAILS(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_FAILS(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    CHECK_FAILS(eventfd(0, 0), EMFILE);
    CHECK_FAILS(epoll_create1(0), EMFILE);
    CHECK(fopen("/dev/null", "r") == NULL && errno == EMFILE);
    CHECK(opendir("/") == NULL && errno == EMFILE);
    CHECK_FAILS(dup2(1, next + 2), EBADF);
    CHECK_EQ(dup2(1, next + 1), next + 1);
    CHECK_FAILS(fcntl(1, F_DUPFD, next + 2), EINVAL);
    CHECK_FAILS(fcntl(1, F_DUPFD, next), EMFILE);
    CHECK_OK(close(next + 1));
    int queue = epoll_create1(0);
    CHECK_EQ(queue, next + 1);
    CHECK_FAILS(epoll_ctl(queue, EPOLL_CTL_ADD, next + 2, &event), EBADF);
    REQUIRE_OK(setrlimit(RLIMIT_NOFILE, &former));
    CHECK_EQ(dup(1), next + 2);
    for (int fd = next; fd <= next + 2; fd++)
        CHECK_OK(close(fd));
}
