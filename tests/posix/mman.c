/*
 * Memory in pages: mmap and its like.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

#define PAGE 4096ul
#define CHECK_MAP_FAILS(call, error)                                                               \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) == MAP_FAILED && errno == (error));                                           \
    } while (0)

static char *map_pages(unsigned pages, int protection)
{
    return mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

TEST(mman_anonymous, "Anonymous memory is zero, goes in parts, and comes where it is wanted.")
{
    char *p = map_pages(4, PROT_READ | PROT_WRITE);

    REQUIRE(p != MAP_FAILED);
    CHECK_EQ((uintptr_t)p % PAGE, 0);
    for (unsigned i = 0; i < 4 * PAGE; i += 64)
        CHECK_EQ(p[i], 0);
    memset(p, 'x', 4 * PAGE);
    CHECK_OK(munmap(p + PAGE, PAGE));
    CHECK(p[0] == 'x' && p[2 * PAGE] == 'x');
    char *q = mmap(p + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(q == p + PAGE && q[0] == 0 && q[PAGE] == 0 && p[3 * PAGE] == 'x');
    CHECK_MAP_FAILS(
        mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_OK(munmap(p, 4 * PAGE));
    CHECK_OK(munmap(p, 4 * PAGE));
    p = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[PAGE - 1] = 1;
    CHECK_OK(munmap(p, 100));
}

TEST(mman_errors, "What mmap and its like refuse.")
{
    int fd = open("/dev/null", O_RDWR), ends[2];

    CHECK_MAP_FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    CHECK_MAP_FAILS(
        mmap((char *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
    CHECK_MAP_FAILS(mmap(NULL, (size_t)1 << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                    ENOMEM);
    REQUIRE_OK(pipe(ends));
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    CHECK_OK(close(fd));
    char *p = map_pages(3, PROT_READ | PROT_WRITE);
    REQUIRE(p != MAP_FAILED);
    CHECK_FAILS(munmap(p + 1, PAGE), EINVAL);
    CHECK_FAILS(munmap(p, 0), EINVAL);
    CHECK_FAILS(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
    CHECK_OK(munmap(p + PAGE, PAGE));
    CHECK_FAILS(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM);
    CHECK_FAILS(msync(p, 3 * PAGE, MS_SYNC), ENOMEM);
    CHECK_FAILS(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_FAILS(madvise(p, 3 * PAGE, MADV_NORMAL), ENOMEM);
    CHECK_FAILS(madvise(p, PAGE, 12345), EINVAL);
    CHECK_OK(munmap(p, 3 * PAGE));
}

TEST(mman_protect, "mprotect, and madvise that means something.")
{
    char *p = map_pages(2, PROT_NONE);

    REQUIRE(p != MAP_FAILED);
    CHECK_OK(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE));
    strcpy(p, "text");
    CHECK_OK(mprotect(p, PAGE, PROT_READ));
    CHECK(strcmp(p, "text") == 0);
    p[PAGE] = 1;
    CHECK_OK(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE));
    CHECK_OK(madvise(p, PAGE, MADV_DONTNEED));
    CHECK(p[0] == 0 && p[PAGE] == 1);
    CHECK_OK(madvise(p, 2 * PAGE, MADV_WILLNEED));
    CHECK_EQ(posix_madvise(p, PAGE, POSIX_MADV_SEQUENTIAL), 0);
    CHECK_OK(msync(p, PAGE, MS_SYNC));
    CHECK_OK(mlock(p + 5, PAGE));
    CHECK_OK(munlock(p + 5, PAGE));
    CHECK_OK(munmap(p, 2 * PAGE));
#ifdef __parvus__
    CHECK_MAP_FAILS(map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
#endif
}

TEST(mman_file, "A private mapping of a file is a copy, zero behind its end.")
{
    static char text[6000];

    REQUIRE_WORK();
    int fd = work_file("f", "");
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i % 100 + 1);
    CHECK_EQ(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
    char *p = mmap(NULL, sizeof(text), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    REQUIRE(p != MAP_FAILED);
    CHECK(memcmp(p, text, sizeof(text)) == 0);
    CHECK(p[sizeof(text)] == 0 && p[2 * PAGE - 1] == 0);
    p[0] = 99;
    char byte = 0;
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, 1);
    CHECK_OK(munmap(p, sizeof(text)));
    p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
    CHECK(p != MAP_FAILED && memcmp(p, text + PAGE, sizeof(text) - PAGE) == 0);
    CHECK_OK(munmap(p, PAGE));
    CHECK_OK(close(fd));
    fd = open("f", O_WRONLY);
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
    CHECK_OK(close(fd));
    work_end();
}

static char *share(int fd, unsigned pages, int protection)
{
    return mmap(NULL, pages * PAGE, protection, MAP_SHARED, fd, 0);
}

TEST(mman_shared,
     "A shared mapping is the file: both see what the other writes, and other mappings do.")
{
    char found[8] = {0};

    REQUIRE_WORK();
    int fd = work_file("f", "first");
    CHECK_OK(ftruncate(fd, 3 * PAGE));
    char *p = share(fd, 3, PROT_READ | PROT_WRITE), *q = share(fd, 3, PROT_READ);
    REQUIRE(p != MAP_FAILED && q != MAP_FAILED && p != q);
    CHECK(memcmp(p, "first", 6) == 0 && p[PAGE] == 0 && p[3 * PAGE - 1] == 0);
    strcpy(p, "second");
    CHECK_EQ(pread(fd, found, 6, 0), 6);
    CHECK(strcmp(found, "second") == 0 && strcmp(q, "second") == 0);
    CHECK_EQ(pwrite(fd, "third", 6, 2 * PAGE), 6);
    CHECK(strcmp(p + 2 * PAGE, "third") == 0 && strcmp(q + 2 * PAGE, "third") == 0);
    char *last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
    REQUIRE(last != MAP_FAILED);
    last[0] = 'T';
    CHECK_EQ(p[2 * PAGE], 'T');
    CHECK_OK(msync(p, 3 * PAGE, MS_SYNC));
    CHECK_OK(madvise(p, 3 * PAGE, MADV_DONTNEED));
    CHECK_EQ(p[2 * PAGE], 'T');
    /* A private copy stays as it is. */
    char *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    REQUIRE(copy != MAP_FAILED);
    copy[0] = 'x';
    CHECK_EQ(p[0], 's');
    CHECK_OK(munmap(copy, PAGE));
    CHECK_OK(munmap(last, PAGE));
    CHECK_OK(munmap(q, 3 * PAGE));
    CHECK_OK(munmap(p, 3 * PAGE));
    CHECK_OK(close(fd));
    REQUIRE_GE(fd = open("f", O_RDONLY), 0);
    CHECK_EQ(pread(fd, found, 6, 2 * PAGE), 6);
    CHECK(strcmp(found, "Third") == 0);
    CHECK_OK(close(fd));
    work_end();
}

TEST(mman_shared_life,
     "A shared mapping outlives descriptor and name; parts go; others take their place.")
{
    struct stat info;

    REQUIRE_WORK();
    int fd = work_file("f", ""), other = work_file("g", "other");
    CHECK_OK(ftruncate(fd, 4 * PAGE));
    CHECK_OK(ftruncate(other, PAGE));
    char *p = share(fd, 4, PROT_READ | PROT_WRITE);
    REQUIRE(p != MAP_FAILED);
    for (unsigned i = 0; i < 4; i++)
        p[i * PAGE] = (char)('a' + i);
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_size, 4 * PAGE);
    CHECK_OK(unlink("f"));
    CHECK_OK(close(fd));
    /* What others write now must not come where the file was. */
    fd = work_file("h", "");
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ(pwrite(fd, "zzzz", 4, (off_t)(i * PAGE)), 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(p[i * PAGE], 'a' + (int)i);
    CHECK_OK(munmap(p + PAGE, PAGE));
    CHECK(p[0] == 'a' && p[2 * PAGE] == 'c');
    CHECK(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, other, 0) ==
          p + PAGE);
    CHECK(strcmp(p + PAGE, "other") == 0);
    CHECK(mmap(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
               -1, 0) == p + 2 * PAGE);
    CHECK(p[2 * PAGE] == 0 && p[3 * PAGE] == 'd');
    p[PAGE] = 'O';
    CHECK_OK(munmap(p, 4 * PAGE));
    char found[6] = {0};
    CHECK_EQ(pread(other, found, 6, 0), 6);
    CHECK(strcmp(found, "Other") == 0);
    CHECK_OK(close(other));
    CHECK_OK(close(fd));
    work_end();
}

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault_signal = sig;
    fault_code = info->si_code;
    siglongjmp(after_fault, 1);
}

/* The signal of a read (or a write) there; 0: none. */
static int touch(volatile char *at, bool writes)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, bus, segv;

    fault_signal = 0;
    sigaction(SIGBUS, &action, &bus);
    sigaction(SIGSEGV, &action, &segv);
    if (sigsetjmp(after_fault, 1) == 0) {
        if (writes)
            *at = 1;
        else
            (void)*at;
    }
    sigaction(SIGBUS, &bus, NULL);
    sigaction(SIGSEGV, &segv, NULL);
    return fault_signal;
}

TEST(
    mman_shared_ends,
    "Behind the file's last page a shared mapping is SIGBUS; a cut file leaves zeroes in its last.")
{
    REQUIRE_WORK();
    int fd = work_file("f", "some text");
    char *p = share(fd, 3, PROT_READ | PROT_WRITE);
    REQUIRE(p != MAP_FAILED);
    CHECK_EQ(p[PAGE - 1], 0);
    CHECK_EQ(touch(p, true), 0);
    CHECK_EQ(touch(p + PAGE, false), SIGBUS);
    CHECK_EQ(fault_code, BUS_ADRERR);
    CHECK_EQ(touch(p + 2 * PAGE, true), SIGBUS);
    CHECK_OK(mprotect(p, 3 * PAGE, PROT_READ));
    CHECK_EQ(touch(p, true), SIGSEGV);
    CHECK_EQ(fault_code, SEGV_ACCERR);
    CHECK_EQ(touch(p + PAGE, false), SIGBUS);
    CHECK_OK(ftruncate(fd, 4));
    CHECK(p[3] == 'e' && p[4] == 0 && p[8] == 0);
    CHECK_OK(munmap(p, 3 * PAGE));
    CHECK_OK(close(fd));
    work_end();
}

TEST(mman_shared_refused, "A shared mapping is writable only if the file was opened so.")
{
    REQUIRE_WORK();
    CHECK_OK(close(work_file("f", "text")));
    int fd = open("f", O_RDONLY);
    CHECK_MAP_FAILS(share(fd, 1, PROT_READ | PROT_WRITE), EACCES);
    char *p = share(fd, 1, PROT_READ);
    REQUIRE(p != MAP_FAILED);
    CHECK_FAILS(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(strcmp(p, "text") == 0);
    CHECK_OK(munmap(p, PAGE));
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(munmap(p, PAGE));
    CHECK_OK(close(fd));
    fd = open("f", O_WRONLY);
    CHECK_MAP_FAILS(share(fd, 1, PROT_WRITE), EACCES);
    CHECK_OK(close(fd));
#ifdef __parvus__
    fd = open("f", O_RDWR);
    CHECK_MAP_FAILS(share(fd, 1, PROT_READ | PROT_EXEC), EACCES);
    p = share(fd, 1, PROT_READ);
    CHECK_FAILS(mprotect(p, PAGE, PROT_READ | PROT_EXEC), EPERM); /* sealed */
    CHECK_OK(munmap(p, PAGE));
    CHECK_OK(close(fd));
#endif
    work_end();
}

#define COUNTS 20000

static void *count_up(void *counter)
{
    for (int i = 0; i < COUNTS; i++)
        atomic_fetch_add((atomic_int *)counter, 1);
    return NULL;
}

TEST(mman_shared_threads, "Threads count in a file, each by a mapping of its own.")
{
    REQUIRE_WORK();
    struct worker *workers[3];
    char *mappings[3];
    int fd = work_file("f", ""), found = 0;

    CHECK_OK(ftruncate(fd, PAGE));
    for (int i = 0; i < 3; i++) {
        mappings[i] = share(fd, 1, PROT_READ | PROT_WRITE);
        REQUIRE(mappings[i] != MAP_FAILED);
        workers[i] = worker_start(count_up, mappings[i]);
    }
    for (int i = 0; i < 3; i++)
        worker_join(workers[i]);
    CHECK_EQ(pread(fd, &found, sizeof(found), 0), (ssize_t)sizeof(found));
    CHECK_EQ(found, 3 * COUNTS);
    for (int i = 0; i < 3; i++)
        CHECK_OK(munmap(mappings[i], PAGE));
    CHECK_OK(close(fd));
    work_end();
}
