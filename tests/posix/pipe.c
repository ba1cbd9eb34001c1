/*
 * Pipes and eventfd: what goes through, who waits, how it ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/check.h"

enum { READ_END, WRITE_END };

static int waiting(int fd)
{
    int bytes = -1;

    CHECK_OK(ioctl(fd, FIONREAD, &bytes));
    return bytes;
}

static short ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    CHECK_GE(poll(&p, 1, 0), 0);
    return p.revents;
}

TEST(pipe_bytes, "A pipe gives back the bytes in order, in parts of any size.")
{
    char in[3][4] = {"abc", "de", ""}, out[8] = {0};
    struct iovec from[] = {{in[0], 3}, {in[2], 0}, {in[1], 2}};
    struct iovec to[] = {{out, 2}, {out + 2, 2}, {out + 4, 3}};
    struct stat info;
    int p[2];

    REQUIRE_OK(pipe(p));
    CHECK_OK(fstat(p[READ_END], &info));
    CHECK(S_ISFIFO(info.st_mode));
    CHECK_EQ(fcntl(p[READ_END], F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(p[WRITE_END], F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_EQ(writev(p[WRITE_END], from, 3), 5);
    CHECK_EQ(waiting(p[READ_END]), 5);
    CHECK_EQ(read(p[READ_END], out, 0), 0);
    CHECK_EQ(readv(p[READ_END], to, 3), 5);
    CHECK_OK(strcmp(out, "abcde"));
    CHECK_FAILS(read(p[WRITE_END], out, 1), EBADF);
    CHECK_FAILS(write(p[READ_END], out, 1), EBADF);
    CHECK_FAILS(lseek(p[READ_END], 0, SEEK_CUR), ESPIPE);
    CHECK_FAILS(pread(p[READ_END], out, 1, 0), ESPIPE);
    CHECK_OK(close(p[WRITE_END]));
    CHECK_EQ(read(p[READ_END], out, 1), 0);
    CHECK_OK(close(p[READ_END]));
}

TEST(pipe_nonblock, "A full or empty pipe says EAGAIN; small writes are whole or not at all.")
{
    static char block[4096];
    int p[2], total = 0;
    ssize_t n;

    CHECK_FAILS(pipe2(p, O_APPEND | O_TRUNC), EINVAL);
    REQUIRE_OK(pipe2(p, O_NONBLOCK | O_CLOEXEC));
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    CHECK_FAILS(read(p[READ_END], block, 1), EAGAIN);
    CHECK_EQ(ready(p[READ_END]), 0);
    CHECK_EQ(ready(p[WRITE_END]), POLLOUT);
    while ((n = write(p[WRITE_END], block, sizeof(block))) > 0) {
        CHECK_EQ(n, sizeof(block));
        total += (int)n;
    }
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(total, 65536);
    CHECK_EQ(ready(p[WRITE_END]), 0);
    CHECK_EQ(ready(p[READ_END]), POLLIN);
    CHECK_EQ(waiting(p[READ_END]), total);
    CHECK_EQ(read(p[READ_END], block, sizeof(block)), sizeof(block));
    CHECK_EQ(ready(p[WRITE_END]), POLLOUT);
    CHECK_OK(close(p[READ_END]));
    CHECK_EQ(ready(p[WRITE_END]) & POLLERR, POLLERR);
    CHECK_FAILS(write(p[WRITE_END], block, 1), EPIPE);
    CHECK_OK(close(p[WRITE_END]));
}

#define STREAM_BYTES (1 << 20)

static void *write_stream(void *fd)
{
    static unsigned char block[7777];
    unsigned next = 0;

    while (next < STREAM_BYTES) {
        size_t bytes = sizeof(block) < STREAM_BYTES - next ? sizeof(block) : STREAM_BYTES - next;
        for (size_t i = 0; i < bytes; i++)
            block[i] = (unsigned char)((next + i) * 31 >> 3);
        if (!CHECK_EQ(write((int)(intptr_t)fd, block, bytes), bytes))
            break;
        next += (unsigned)bytes;
    }
    CHECK_OK(close((int)(intptr_t)fd));
    return NULL;
}

TEST(pipe_threads, "A stream between threads arrives whole; its end follows.")
{
    static unsigned char block[5001];
    unsigned next = 0;
    int p[2];
    ssize_t n;

    REQUIRE_OK(pipe(p));
    struct worker *writer = worker_start(write_stream, (void *)(intptr_t)p[WRITE_END]);
    while ((n = read(p[READ_END], block, sizeof(block))) > 0) {
        for (ssize_t i = 0; i < n && !test_has_failed(); i++)
            CHECK_EQ(block[i], (unsigned char)((next + (unsigned)i) * 31 >> 3));
        next += (unsigned)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(next, STREAM_BYTES);
    worker_join(writer);
    CHECK_OK(close(p[READ_END]));
}

static void *read_one(void *fd)
{
    char byte;

    return (void *)(intptr_t)read((int)(intptr_t)fd, &byte, 1);
}

TEST(pipe_close_while_reading, "A descriptor that is closed under a read goes when the read ends.")
{
    int p[2];

    REQUIRE_OK(pipe(p));
    struct worker *reader = worker_start(read_one, (void *)(intptr_t)p[READ_END]);
    sleep_ms(50);
    CHECK_OK(close(p[READ_END]));
    CHECK_EQ(write(p[WRITE_END], "x", 1), 1);
    CHECK_EQ((intptr_t)worker_join(reader), 1);
    CHECK_FAILS(write(p[WRITE_END], "x", 1), EPIPE);
    CHECK_OK(close(p[WRITE_END]));
}

static atomic_int broken;

static void on_sigpipe(int sig)
{
    broken += sig;
}

static void *write_broken(void *fd)
{
    CHECK_FAILS(write((int)(intptr_t)fd, "x", 1), EPIPE);
    return NULL;
}

TEST(pipe_sigpipe, "Writing what nobody will read raises SIGPIPE, in any thread.")
{
    int p[2];

    REQUIRE_OK(pipe(p));
    CHECK_OK(close(p[READ_END]));
    CHECK(signal(SIGPIPE, on_sigpipe) == SIG_IGN);
    worker_join(worker_start(write_broken, (void *)(intptr_t)p[WRITE_END]));
    CHECK_EQ(broken, SIGPIPE);
    write_broken((void *)(intptr_t)p[WRITE_END]);
    CHECK_EQ(broken, 2 * SIGPIPE);
    CHECK(signal(SIGPIPE, SIG_IGN) == on_sigpipe);
    CHECK_OK(close(p[WRITE_END]));
}

TEST(eventfd_counts, "An eventfd adds up what is written; a read takes all, or one as a semaphore.")
{
    eventfd_t value = 0;
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);

    REQUIRE_GE(fd, 0);
    CHECK_OK(eventfd_write(fd, 4));
    CHECK_EQ(ready(fd), POLLIN | POLLOUT);
    CHECK_OK(eventfd_read(fd, &value));
    CHECK_EQ(value, 7);
    CHECK_FAILS(eventfd_read(fd, &value), EAGAIN);
    CHECK_EQ(ready(fd), POLLOUT);
    CHECK_FAILS(read(fd, &value, 4), EINVAL);
    CHECK_FAILS(write(fd, &value, 4), EINVAL);
    CHECK_FAILS(eventfd_write(fd, UINT64_MAX), EINVAL);
    CHECK_OK(eventfd_write(fd, UINT64_MAX - 1));
    CHECK_EQ(ready(fd), POLLIN);
    CHECK_FAILS(eventfd_write(fd, 1), EAGAIN);
    CHECK_OK(close(fd));
    REQUIRE_GE(fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(eventfd_read(fd, &value));
        CHECK_EQ(value, 1);
    }
    CHECK_FAILS(eventfd_read(fd, &value), EAGAIN);
    CHECK_OK(close(fd));
    CHECK_FAILS(eventfd(0, 1 << 10), EINVAL);
}

static void *wake_by_eventfd(void *fd)
{
    sleep_ms(20);
    CHECK_OK(eventfd_write((int)(intptr_t)fd, 5));
    return NULL;
}

TEST(eventfd_blocks, "A read of an eventfd waits for the count.")
{
    eventfd_t value = 0;
    int fd = eventfd(0, 0);

    REQUIRE_GE(fd, 0);
    struct worker *waker = worker_start(wake_by_eventfd, (void *)(intptr_t)fd);
    CHECK_OK(eventfd_read(fd, &value));
    CHECK_EQ(value, 5);
    worker_join(waker);
    CHECK_OK(close(fd));
}
