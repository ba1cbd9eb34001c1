/*
 * poll, select and epoll on pipes and eventfds: results, time-outs, wake-ups.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

#include "tests/posix/check.h"

enum { READ_END, WRITE_END };

TEST(poll_results, "poll reports what is ready, what is closed and what is no descriptor.")
{
    int p[2];

    REQUIRE_OK(pipe(p));
    struct pollfd fds[] = {
        {p[READ_END], POLLIN, -1}, {p[WRITE_END], POLLOUT, -1}, {999, 0, 0},
        {-1, POLLIN, -1},          {p[READ_END], 0, -1},
    };
    CHECK_EQ(poll(fds, 5, 0), 2);
    CHECK_EQ(fds[0].revents, 0);
    CHECK_EQ(fds[1].revents, POLLOUT);
    CHECK_EQ(fds[2].revents, POLLNVAL);
    CHECK_EQ(fds[3].revents, 0);
    CHECK_EQ(fds[4].revents, 0);
    CHECK_EQ(write(p[WRITE_END], "x", 1), 1);
    CHECK_EQ(poll(fds, 5, -1), 3);
    CHECK_EQ(fds[0].revents, POLLIN);
    CHECK_OK(close(p[WRITE_END]));
    CHECK_EQ(poll(fds, 1, -1), 1);
    CHECK_EQ(fds[0].revents, POLLIN | POLLHUP);
    CHECK_EQ(poll(fds + 4, 1, -1), 1);
    CHECK_EQ(fds[4].revents, POLLHUP);
    CHECK_OK(close(p[READ_END]));
}

TEST(poll_timeouts, "Time-outs are no shorter than asked for.")
{
    struct timespec ten_ms = {0, 10000000}, bad = {0, 1000000000};
    struct timeval tv = {0, 10000};
    struct epoll_event event;
    int p[2], ep = epoll_create1(0);
    uint64_t start;

    REQUIRE_OK(pipe(p));
    struct pollfd fd = {p[READ_END], POLLIN, 0};
    fd_set set;
    for (int ms = 0; ms < 30; ms += 10) {
        start = now_ms();
        CHECK_EQ(poll(&fd, 1, ms), 0);
        CHECK_GE(now_ms() - start, ms - 1);
        start = now_ms();
        CHECK_EQ(epoll_wait(ep, &event, 1, ms), 0);
        CHECK_GE(now_ms() - start, ms - 1);
    }
    start = now_ms();
    CHECK_EQ(poll(NULL, 0, 10), 0);
    CHECK_EQ(ppoll(&fd, 1, &ten_ms, NULL), 0);
    FD_ZERO(&set);
    FD_SET(p[READ_END], &set);
    CHECK_EQ(select(p[READ_END] + 1, &set, NULL, NULL, &tv), 0);
    CHECK(!FD_ISSET(p[READ_END], &set));
    CHECK_EQ(tv.tv_sec, 0);
    CHECK_EQ(tv.tv_usec, 0);
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &ten_ms, NULL), 0);
    CHECK_GE(now_ms() - start, 39);
    CHECK_FAILS(ppoll(&fd, 1, &bad, NULL), EINVAL);
    CHECK_FAILS(pselect(0, NULL, NULL, NULL, &bad, NULL), EINVAL);
    tv.tv_sec = -1;
    CHECK_FAILS(select(0, NULL, NULL, NULL, &tv), EINVAL);
    CHECK_OK(close(p[0]));
    CHECK_OK(close(p[1]));
    CHECK_OK(close(ep));
}

TEST(poll_select, "select sorts what is ready into its sets and counts the bits.")
{
    fd_set readable, writable, other;
    struct timeval long_time = {100, 0};
    int p[2], high, size = FD_SETSIZE;

    CHECK_GE(size, 1024);
    REQUIRE_OK(pipe(p));
    high = fcntl(p[WRITE_END], F_DUPFD, 1000);
    REQUIRE_GE(high, 1000);
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_ZERO(&other);
    FD_SET(p[READ_END], &readable);
    FD_SET(p[READ_END], &other);
    FD_SET(p[WRITE_END], &writable);
    FD_SET(high, &writable);
    CHECK_EQ(select(high + 1, &readable, &writable, &other, &long_time), 2);
    CHECK(!FD_ISSET(p[READ_END], &readable) && !FD_ISSET(p[READ_END], &other));
    CHECK(FD_ISSET(p[WRITE_END], &writable) && FD_ISSET(high, &writable));
    CHECK(long_time.tv_sec <= 100 && long_time.tv_sec > 50);
    CHECK_OK(close(p[WRITE_END]));
    CHECK_OK(close(high));
    FD_SET(p[READ_END], &readable);
    CHECK_EQ(select(p[READ_END] + 1, &readable, NULL, NULL, NULL), 1); /* its end */
    CHECK(FD_ISSET(p[READ_END], &readable));
    CHECK_FAILS(select(high + 1, NULL, &writable, NULL, NULL), EBADF);
    CHECK_FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_OK(close(p[READ_END]));
}

struct wake {
    int fd;
    unsigned ms;
};

static void *write_later(void *argument)
{
    struct wake *wake = argument;

    sleep_ms(wake->ms);
    CHECK_OK(eventfd_write(wake->fd, 1));
    return NULL;
}

TEST(poll_wakes, "poll, select and epoll_wait sleep until there is something.")
{
    int fd = eventfd(0, 0), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN, {.u64 = 0x123456789abcdef0}};
    struct wake wake = {fd, 20};
    eventfd_t value;
    fd_set set;

    REQUIRE(fd >= 0 && ep >= 0);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    for (int how = 0; how < 4; how++) {
        struct worker *worker = worker_start(write_later, &wake);
        struct pollfd p = {how == 2 ? ep : fd, POLLIN, 0};
        memset(&event, 0, sizeof(event));
        switch (how) {
        case 0:
        case 2:
            CHECK_EQ(poll(&p, 1, -1), 1);
            CHECK_EQ(p.revents, POLLIN);
            break;
        case 1:
            FD_ZERO(&set);
            FD_SET(fd, &set);
            CHECK_EQ(select(fd + 1, &set, NULL, NULL, NULL), 1);
            break;
        case 3:
            CHECK_EQ(epoll_wait(ep, &event, 1, -1), 1);
            CHECK_EQ(event.events, EPOLLIN);
            CHECK(event.data.u64 == 0x123456789abcdef0);
        }
        worker_join(worker);
        CHECK_OK(eventfd_read(fd, &value));
        p.revents = 0;
        CHECK_EQ(poll(&p, 1, 0), 0);
    }
    CHECK_OK(close(ep));
    CHECK_OK(close(fd));
}

TEST(epoll_errors, "epoll refuses what epoll_ctl(2) says.")
{
    int ep = epoll_create1(0), fd = eventfd(0, 0), inner = epoll_create1(0),
        third = epoll_create(1);
    struct epoll_event event = {EPOLLIN, {.fd = fd}};

    CHECK_FAILS(epoll_create(0), EINVAL);
    CHECK_FAILS(epoll_create1(1), EINVAL);
    CHECK_FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &event), EBADF);
    CHECK_FAILS(epoll_ctl(999, EPOLL_CTL_ADD, fd, &event), EBADF);
    CHECK_FAILS(epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event), EINVAL);
    CHECK_FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
    CHECK_FAILS(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event), ENOENT);
    CHECK_FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL), ENOENT);
    CHECK_FAILS(epoll_ctl(ep, 77, fd, &event), EINVAL);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CHECK_FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), EEXIST);
    CHECK_FAILS(epoll_wait(ep, &event, 0, 0), EINVAL);
    CHECK_FAILS(epoll_wait(fd, &event, 1, 0), EINVAL);
    CHECK_FAILS(epoll_wait(999, &event, 1, 0), EBADF);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, inner, &event));
    CHECK_FAILS(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &event), ELOOP);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, inner, NULL));
    CHECK_OK(epoll_ctl(inner, EPOLL_CTL_ADD, third, &event));
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
    CHECK_OK(close(third));
    CHECK_OK(close(ep));
    CHECK_OK(close(fd));
    CHECK_OK(close(inner));
}

TEST(epoll_triggers, "Level-triggered events repeat, edge-triggered ones do not, one-shots end.")
{
    int ep = epoll_create1(0), p[2];
    struct epoll_event event = {EPOLLIN, {.fd = 7}}, got[4];
    char byte;

    REQUIRE_OK(pipe(p));
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[READ_END], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(write(p[WRITE_END], "abcdefgh", 8), 8);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
        CHECK_EQ(got[0].events, EPOLLIN);
        CHECK_EQ(got[0].data.fd, 7);
    }
    event.events = EPOLLIN | EPOLLET;
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, p[READ_END], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(read(p[READ_END], &byte, 1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(write(p[WRITE_END], "i", 1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    event.events = EPOLLIN | EPOLLONESHOT;
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, p[READ_END], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    CHECK_EQ(write(p[WRITE_END], "j", 1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, p[READ_END], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    CHECK_OK(close(p[WRITE_END]));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    event.events = 0; /* EPOLLHUP is always reported */
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, p[READ_END], &event));
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    CHECK_EQ(got[0].events, EPOLLHUP);
    CHECK_OK(close(p[READ_END]));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(close(ep));
}

TEST(epoll_close, "A file leaves its set with its last descriptor, not before.")
{
    int ep = epoll_create1(0), fd = eventfd(1, 0), copy = dup(fd);
    struct epoll_event event = {EPOLLIN, {.fd = fd}};

    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, copy, &event));
    CHECK_OK(close(fd));
    struct epoll_event got[4];
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 2);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, copy, NULL));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    CHECK_OK(close(copy));
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_OK(close(ep));
}

TEST(epoll_nested, "A set in a set reports when something in it is ready.")
{
    int outer = epoll_create1(0), inner = epoll_create1(0), fd = eventfd(0, 0);
    struct epoll_event event = {EPOLLIN, {.fd = fd}}, got[4];
    eventfd_t value;

    CHECK_OK(epoll_ctl(inner, EPOLL_CTL_ADD, fd, &event));
    event.data.fd = inner;
    CHECK_OK(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
    CHECK_EQ(epoll_wait(outer, got, 4, 0), 0);
    CHECK_OK(eventfd_write(fd, 1));
    CHECK_EQ(epoll_wait(outer, got, 4, -1), 1);
    CHECK_EQ(got[0].data.fd, inner);
    CHECK_EQ(epoll_wait(inner, got, 4, -1), 1);
    CHECK_EQ(got[0].data.fd, fd);
    CHECK_OK(eventfd_read(fd, &value));
    CHECK_EQ(epoll_wait(outer, got, 4, 0), 0);
    CHECK_OK(close(inner));
    CHECK_OK(eventfd_write(fd, 1));
    CHECK_EQ(epoll_wait(outer, got, 4, 0), 0);
    CHECK_OK(close(outer));
    CHECK_OK(close(fd));
}

#define MANY 2000

TEST(epoll_many, "Of thousands of descriptors exactly the ready ones are reported, in turn.")
{
    static int fds[MANY];
    static struct epoll_event got[MANY];
    int ep = epoll_create1(0), seen = 0;
    eventfd_t value;

    for (int i = 0; i < MANY; i++) {
        struct epoll_event event = {EPOLLIN, {.u32 = (uint32_t)i}};
        REQUIRE_GE(fds[i] = eventfd(0, 0), 0);
        CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event));
    }
    CHECK_EQ(epoll_wait(ep, got, MANY, 0), 0);
    for (int i = 3; i < MANY; i += 100)
        CHECK_OK(eventfd_write(fds[i], 1));
    /* Two at a time: each comes up, as they go back to the end. */
    for (int i = 0; i < MANY / 100; i += 2) {
        CHECK_EQ(epoll_wait(ep, got, 2, 0), 2);
        for (int k = 0; k < 2; k++) {
            CHECK_EQ(got[k].data.u32 % 100, 3);
            seen += (int)got[k].data.u32;
        }
    }
    CHECK_EQ(seen, 20 * 3 + 100 * (19 * 20 / 2));
    CHECK_EQ(epoll_wait(ep, got, MANY, 0), MANY / 100);
    for (int i = 3; i < MANY; i += 100)
        CHECK_OK(eventfd_read(fds[i], &value));
    CHECK_EQ(epoll_wait(ep, got, MANY, 0), 0);
    for (int i = 0; i < MANY / 2; i++)
        CHECK_OK(close(fds[i]));
    CHECK_OK(close(ep));
    for (int i = MANY / 2; i < MANY; i++)
        CHECK_OK(close(fds[i]));
}

static void *wait_for_event(void *ep)
{
    struct epoll_event event;

    CHECK_EQ(epoll_wait((int)(intptr_t)ep, &event, 1, -1), 1);
    return (void *)(intptr_t)event.data.fd;
}

TEST(epoll_threads, "Several threads wait in one set; each one-shot event goes to one of them.")
{
    enum { THREADS = 4 };
    int ep = epoll_create1(0), fds[THREADS];
    struct worker *workers[THREADS];
    int sum = 0, expected = 0;

    for (int i = 0; i < THREADS; i++) {
        fds[i] = eventfd(0, 0);
        struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {.fd = fds[i]}};
        CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event));
        expected += fds[i];
    }
    for (int i = 0; i < THREADS; i++)
        workers[i] = worker_start(wait_for_event, (void *)(intptr_t)ep);
    sleep_ms(20);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(eventfd_write(fds[i], 1));
    for (int i = 0; i < THREADS; i++)
        sum += (int)(intptr_t)worker_join(workers[i]);
    CHECK_EQ(sum, expected);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(close(fds[i]));
    CHECK_OK(close(ep));
}

static void *close_later(void *fd)
{
    sleep_ms(20);
    CHECK_OK(close((int)(intptr_t)fd));
    return NULL;
}

TEST(poll_close, "What is closed under poll or epoll_wait wakes nobody.")
{
    int fd = eventfd(0, 0), other = eventfd(0, 0), ep = epoll_create1(0);
    struct pollfd p[] = {{fd, POLLIN, 0}, {other, POLLIN, 0}};
    struct epoll_event event = {EPOLLIN, {.fd = other}};

    uint64_t start = now_ms();

    struct worker *worker = worker_start(close_later, (void *)(intptr_t)fd);
    CHECK_GE(poll(p, 2, 60), 0); /* Linux looks the descriptor up again at the end: POLLNVAL */
    CHECK_GE(now_ms() - start, 59);
    worker_join(worker);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, other, &event));
    worker = worker_start(close_later, (void *)(intptr_t)other);
    CHECK_EQ(epoll_wait(ep, &event, 1, 60), 0);
    worker_join(worker);
    CHECK_OK(close(ep));
}
