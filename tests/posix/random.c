/*
 * Random numbers: getentropy, getrandom, /dev/random and /dev/urandom.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/check.h"

/* Whether bytes are about as many different ones as random bytes would be: six sigma. */
static bool looks_random(const unsigned char *bytes, size_t count)
{
    long ones = 0, expected = (long)count * 4;

    for (size_t i = 0; i < count; i++)
        ones += __builtin_popcount(bytes[i]);
    return (ones - expected) * (ones - expected) < 36 * (long)count * 2;
}

TEST(random_getrandom, "getrandom gives any number of bytes, no two times the same.")
{
    static unsigned char first[100000], second[100000];

    CHECK_EQ(getrandom(first, sizeof(first), 0), sizeof(first));
    CHECK_EQ(getrandom(second, sizeof(second), GRND_NONBLOCK), sizeof(second));
    CHECK(looks_random(first, sizeof(first)));
    CHECK(looks_random(second, sizeof(second)));
    for (size_t at = 0; at + 16 <= sizeof(first); at += 16)
        CHECK(memcmp(first + at, second + at, 16) != 0);
    CHECK_EQ(getrandom(first, 0, 0), 0);
    CHECK_EQ(getrandom(first, 10, GRND_RANDOM), 10);
    CHECK_FAILS(getrandom(first, 1, 0x100), EINVAL);
}

TEST(random_getentropy, "getentropy gives up to 256 bytes, and leaves alone what is behind them.")
{
    unsigned char bytes[258] = {0};

    CHECK_OK(getentropy(bytes, 256));
    CHECK(looks_random(bytes, 256));
    CHECK_EQ(bytes[256], 0);
    CHECK_OK(getentropy(bytes, 0));
    CHECK_FAILS(getentropy(bytes, 257), EIO);
}

static void read_device(const char *path)
{
    unsigned char bytes[3000], more[100];
    struct iovec to[] = {{bytes, 1000}, {bytes + 1000, 2000}};
    struct stat info;
    int fd = open(path, O_RDWR);

    REQUIRE(fd >= 0);
    CHECK_OK(fstat(fd, &info));
    CHECK(S_ISCHR(info.st_mode));
    CHECK_OK(stat(path, &info));
    CHECK(S_ISCHR(info.st_mode));
    CHECK_EQ(readv(fd, to, 2), sizeof(bytes));
    CHECK(looks_random(bytes, sizeof(bytes)));
    CHECK_EQ(read(fd, more, sizeof(more)), sizeof(more));
    CHECK(memcmp(bytes, more, sizeof(more)) != 0);
    CHECK_EQ(write(fd, more, sizeof(more)), sizeof(more));
    CHECK_OK(close(fd));
    CHECK_OK(access(path, R_OK | W_OK));
    CHECK_FAILS(access(path, X_OK), EACCES);
    CHECK_FAILS(open(path, O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

TEST(random_devices, "/dev/urandom and /dev/random are files to read from.")
{
    read_device("/dev/urandom");
    read_device("/dev/random");
}
