/*
 * Memory in pages: mmap and its like.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
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
#ifdef __parvus__
    fd = open("f", O_RDWR);
    CHECK_MAP_FAILS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
    CHECK_OK(close(fd));
#endif
    work_end();
}
