/*
 * Advisory locks: flock, fcntl, lockf; and sendfile.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

TEST(lock_flock, "flock is between open files: shared, exclusive, and gone with the last close.")
{
    REQUIRE_WORK();
    int a = work_file("f", ""), b = open("f", O_RDONLY), same = dup(a), other = work_file("g", "");
    CHECK_OK(flock(a, LOCK_EX));
    CHECK_OK(flock(same, LOCK_EX | LOCK_NB));
    CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
    CHECK_FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(a, LOCK_SH));
    CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
    CHECK_FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(a, LOCK_UN));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
    CHECK_OK(close(b));
    CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
    b = open("f", O_RDONLY);
    CHECK_OK(close(a));
    CHECK_FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(close(same));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
    CHECK_FAILS(flock(b, LOCK_EX | LOCK_SH), EINVAL);
    CHECK_FAILS(flock(b, 0), EINVAL);
    CHECK_OK(close(b));
    CHECK_FAILS(flock(b, LOCK_EX), EBADF);
    CHECK_OK(close(other));
    work_end();
}

static void *lock_and_close(void *argument)
{
    int fd = *(int *)argument;

    CHECK_OK(flock(fd, LOCK_EX));
    CHECK_EQ(write(fd, "second", 6), 6);
    CHECK_OK(close(fd));
    return NULL;
}

TEST(lock_wait, "flock waits until the other one unlocks.")
{
    REQUIRE_WORK();
    int a = work_file("f", ""), b = open("f", O_WRONLY | O_APPEND);
    CHECK_OK(flock(a, LOCK_EX));
    struct worker *worker = worker_start(lock_and_close, &b);
    sleep_ms(20);
    CHECK_EQ(write(a, "first", 5), 5);
    CHECK_OK(flock(a, LOCK_UN));
    worker_join(worker);
    CHECK(work_holds("f", "firstsecond"));
    CHECK_OK(close(a));
    work_end();
}

static void do_nothing(int sig)
{
    (void)sig;
}

static void *interrupt_later(void *argument)
{
    sleep_ms(30);
    CHECK_EQ(pthread_kill(*(pthread_t *)argument, SIGUSR1), 0);
    return NULL;
}

TEST(lock_signal, "A signal ends the wait for a lock with EINTR.")
{
    struct sigaction action = {.sa_handler = do_nothing}, old;
    pthread_t self = pthread_self();

    REQUIRE_WORK();
    CHECK_OK(sigaction(SIGUSR1, &action, &old));
    int a = work_file("f", ""), b = open("f", O_RDONLY);
    CHECK_OK(flock(a, LOCK_EX));
    struct worker *worker = worker_start(interrupt_later, &self);
    CHECK_FAILS(flock(b, LOCK_EX), EINTR);
    worker_join(worker);
    CHECK_OK(flock(a, LOCK_UN));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
    CHECK_OK(sigaction(SIGUSR1, &old, NULL));
    CHECK_OK(close(a));
    CHECK_OK(close(b));
    work_end();
}

TEST(lock_fcntl, "Nothing is in the way of a process's own record locks, but mistakes are.")
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};

    REQUIRE_WORK();
    int a = work_file("f", "text"), b = open("f", O_RDONLY);
    CHECK_OK(fcntl(a, F_SETLK, &range));
    CHECK_FAILS(fcntl(b, F_SETLK, &range), EBADF);
    range.l_type = F_RDLCK;
    CHECK_OK(fcntl(b, F_SETLKW, &range));
    range.l_type = F_WRLCK;
    CHECK_OK(fcntl(a, F_GETLK, &range));
    CHECK_EQ(range.l_type, F_UNLCK);
    range.l_type = F_WRLCK;
    range.l_whence = 7;
    CHECK_FAILS(fcntl(a, F_SETLK, &range), EINVAL);
    range.l_whence = SEEK_END;
    range.l_start = -5;
    CHECK_FAILS(fcntl(a, F_SETLK, &range), EINVAL);
    range.l_whence = SEEK_SET;
    range.l_start = 0;
    range.l_type = 99;
    CHECK_FAILS(fcntl(a, F_SETLK, &range), EINVAL);
    range.l_type = F_UNLCK;
    CHECK_OK(fcntl(a, F_SETLK, &range));
    CHECK_OK(lockf(a, F_LOCK, 0));
    CHECK_OK(lockf(a, F_TEST, 0));
    CHECK_OK(lockf(a, F_ULOCK, 0));
    CHECK_FAILS(lockf(a, 99, 0), EINVAL);
    CHECK_OK(close(b));
    CHECK_OK(close(a));
    work_end();
}

TEST(file_sendfile, "sendfile moves from a file to a file, a pipe and a socket's like.")
{
    static char text[100000], found[100000];
    int ends[2];
    off_t offset = 10;

    REQUIRE_WORK();
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 % 251);
    int from = work_file("f", ""), to = work_file("g", "");
    CHECK_EQ(write(from, text, sizeof(text)), (ssize_t)sizeof(text));
    CHECK_EQ(lseek(from, 0, SEEK_SET), 0);
    CHECK_EQ(sendfile(to, from, NULL, sizeof(text) + 5), (ssize_t)sizeof(text));
    CHECK_EQ(lseek(from, 0, SEEK_CUR), (off_t)sizeof(text));
    CHECK_EQ(pread(to, found, sizeof(found), 0), (ssize_t)sizeof(found));
    CHECK(memcmp(text, found, sizeof(text)) == 0);
    REQUIRE_OK(pipe(ends));
    CHECK_EQ(sendfile(ends[1], from, &offset, 100), 100);
    CHECK_EQ(offset, 110);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), (off_t)sizeof(text));
    CHECK_EQ(read(ends[0], found, sizeof(found)), 100);
    CHECK(memcmp(text + 10, found, 100) == 0);
    CHECK_EQ(sendfile(ends[1], from, NULL, 10), 0);
    CHECK_FAILS(sendfile(-1, from, &offset, 10), EBADF);
    CHECK_FAILS(sendfile(to, -1, &offset, 10), EBADF);
    offset = -1;
    CHECK_FAILS(sendfile(to, from, &offset, 10), EINVAL);
    CHECK_OK(fcntl(to, F_SETFL, O_APPEND));
    offset = 0;
    CHECK_FAILS(sendfile(to, from, &offset, 10), EINVAL);
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    CHECK_OK(close(to));
    CHECK_OK(close(from));
    sync();
    work_end();
}
