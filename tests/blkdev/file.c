/*
 * The first disk as a file, /dev/vda (libc-glue/disk_file.h). Writes where FILE_AT says, and leaves
 * there what tests/host/blkdev.py expects.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel/blkdev.h"
#include "tests/guest/test.h"

#define SECTOR BLKDEV_SECTOR_BYTES
#define FILE_AT 13312u
#define FILE_SECTORS 64u
#define FILE_BYTES ((off_t)FILE_SECTORS * SECTOR)
#define WRITTEN 0x5a5a000000000000ull

static char wanted[FILE_SECTORS * SECTOR], got[FILE_SECTORS * SECTOR];

static void fill_wanted(void)
{
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(uint64_t); i++) {
        uint64_t word = WRITTEN + FILE_AT + i / (SECTOR / sizeof(word));

        memcpy(wanted + i * sizeof(word), &word, sizeof(word));
    }
}

TEST(file_facts, "A disk is a block special file, and ioctl tells its sizes.")
{
    struct blkdev *disk = blkdev_first();
    uint64_t bytes = 0;
    unsigned long sectors = 0;
    unsigned physical = 0;
    int block = 0, read_only = 2;
    struct stat info, by_name;
    int fd = open("/dev/vda", O_RDONLY);

    REQUIRE(fd >= 0);
    CHECK_OK(fstat(fd, &info));
    CHECK_OK(stat("/dev/vda", &by_name));
    CHECK(S_ISBLK(info.st_mode));
    CHECK(memcmp(&info, &by_name, sizeof(info)) == 0);
    CHECK_OK(ioctl(fd, BLKGETSIZE64, &bytes));
    CHECK_OK(ioctl(fd, BLKGETSIZE, &sectors));
    CHECK_OK(ioctl(fd, BLKSSZGET, &block));
    CHECK_OK(ioctl(fd, BLKPBSZGET, &physical));
    CHECK_OK(ioctl(fd, BLKROGET, &read_only));
    CHECK_EQ(bytes, disk->nr_sectors * SECTOR);
    CHECK_EQ(sectors, disk->nr_sectors);
    CHECK_EQ(block, disk->block_bytes);
    CHECK_EQ(physical, disk->physical_block_bytes);
    CHECK_EQ(read_only, disk->is_read_only);
    CHECK_EQ(lseek(fd, 0, SEEK_END), (off_t)bytes);
    CHECK_EQ(read(fd, got, 1), 0);
    CHECK_EQ(pread(fd, got, 100, (off_t)bytes - 10), 10);
    CHECK(ioctl(fd, FIONREAD, &block) == -1 && errno == ENOTTY);
    CHECK_EQ(write(fd, got, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_OK(close(fd));
}

TEST(file_paths, "What names no disk, or asks for what a disk is not, is refused.")
{
    CHECK(open("/dev/vdz", O_RDWR) == -1 && errno == ENOENT);
    CHECK(open("/dev/vda1", O_RDWR) == -1 && errno == ENOENT);
    CHECK(open("/dev/vda", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
    CHECK(open("/dev/vda", O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
    CHECK_OK(access("/dev/vda", R_OK));
    CHECK(access("/dev/vda", X_OK) == -1 && errno == EACCES);
    if (blkdev_first()->is_read_only) {
        CHECK(open("/dev/vda", O_RDWR) == -1 && errno == EACCES);
        CHECK(access("/dev/vda", W_OK) == -1 && errno == EROFS);
    } else {
        CHECK_OK(access("/dev/vda", W_OK));
    }
}

/* Any cut into pieces writes the same. */
static void write_in_pieces(int fd, size_t first, size_t step)
{
    size_t bytes = first;

    for (size_t at = 0; at < sizeof(wanted); at += bytes, bytes = step) {
        if (bytes > sizeof(wanted) - at)
            bytes = sizeof(wanted) - at;
        CHECK_EQ(write(fd, wanted + at, bytes), bytes);
    }
}

TEST(file_writes, "Bytes are written and read at any position, in pieces of any size.")
{
    static const size_t steps[][2] = {{1, 700}, {512, 512}, {100, 5000}, {513, 1537}, {32768, 1}};
    off_t start = (off_t)FILE_AT * SECTOR;
    int fd = open("/dev/vda", O_RDWR);

    REQUIRE(fd >= 0);
    fill_wanted();
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        memset(got, 0, sizeof(got));
        CHECK_EQ(pwrite(fd, got, sizeof(got), start), sizeof(got));
        CHECK_EQ(lseek(fd, start, SEEK_SET), start);
        write_in_pieces(fd, steps[i][0], steps[i][1]);
        CHECK_EQ(lseek(fd, 0, SEEK_CUR), start + FILE_BYTES);
        CHECK_EQ(pread(fd, got, sizeof(got), start), sizeof(got));
        CHECK(memcmp(got, wanted, sizeof(got)) == 0);
    }
    for (unsigned skip = 1; skip < 3 * SECTOR; skip += 251) {
        CHECK_EQ(pread(fd, got, 3000, start + skip), 3000);
        CHECK(memcmp(got, wanted + skip, 3000) == 0);
    }
    CHECK_OK(fdatasync(fd));
    CHECK_OK(fsync(fd));
    CHECK_OK(close(fd));
}

TEST(file_vectors, "Vectors of odd lengths are one transfer.")
{
    off_t start = (off_t)FILE_AT * SECTOR + 77;
    int fd = open("/dev/vda", O_RDWR | O_SYNC);

    REQUIRE(fd >= 0);
    fill_wanted();
    struct iovec from[] = {
        {wanted + 77, 3}, {wanted + 80, 0}, {wanted + 80, 1000}, {wanted + 1080, 4096}};
    CHECK_EQ(pwritev(fd, from, 4, start), 3 + 1000 + 4096);
    memset(got, 0, sizeof(got));
    struct iovec to[] = {{got, 4000}, {got + 4000, 1099}};
    CHECK_EQ(preadv(fd, to, 2, start), 4000 + 1099);
    CHECK(memcmp(got, wanted + 77, 4000 + 1099) == 0);
    CHECK_OK(close(fd));
}

TEST(file_end, "A write stops at the disk's end, and behind it there is no space.")
{
    uint64_t bytes = 0;
    int fd = open("/dev/vda", O_RDWR);

    REQUIRE(fd >= 0);
    CHECK_OK(ioctl(fd, BLKGETSIZE64, &bytes));
    CHECK_EQ(pread(fd, got, SECTOR + 100, (off_t)bytes - SECTOR - 100), SECTOR + 100);
    CHECK_EQ(pwrite(fd, got, sizeof(got), (off_t)bytes - SECTOR - 100), SECTOR + 100);
    CHECK(pwrite(fd, got, 1, (off_t)bytes) == -1 && errno == ENOSPC);
    CHECK_OK(close(fd));
}

TEST(file_clears, "BLKZEROOUT and BLKDISCARD clear ranges.")
{
    uint64_t range[2] = {(uint64_t)FILE_AT * SECTOR, 2ul * SECTOR}, odd[2] = {1, SECTOR},
             far[2] = {1ull << 50, SECTOR};
    int fd = open("/dev/vda", O_RDWR);

    REQUIRE(fd >= 0);
    fill_wanted();
    memset(got, 1, sizeof(got));
    CHECK_OK(ioctl(fd, BLKZEROOUT, range));
    CHECK_EQ(pread(fd, got, 2ul * SECTOR, (off_t)range[0]), 2ul * SECTOR);
    for (unsigned i = 0; i < 2 * SECTOR; i++)
        CHECK_EQ(got[i], 0);
    CHECK_OK(ioctl(fd, BLKDISCARD, range));
    CHECK(ioctl(fd, BLKZEROOUT, odd) == -1 && errno == EINVAL);
    CHECK(ioctl(fd, BLKZEROOUT, far) == -1 && errno == EINVAL);
    CHECK_EQ(pwrite(fd, wanted, 2ul * SECTOR, (off_t)range[0]), 2ul * SECTOR);
    CHECK_OK(close(fd));
}
