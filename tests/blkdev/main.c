/*
 * Tests of the first disk, which tests/host/blkdev.py made: before, sector n consists of the 64-bit
 * number n, over and over. What they write is looked at from outside afterwards; the last sectors
 * are to stay as they were.
 *
 * blkdev_reads and blkdev_bounds are for any disk, readonly_... for one that cannot be written.
 * `workload SEED` instead of tests: see workload.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/blkdev.h"
#include "kernel/thread.h"
#include "tests/blkdev/workload.h"
#include "tests/guest/test.h"

#define SECTOR BLKDEV_SECTOR_BYTES
#define WORDS (SECTOR / sizeof(uint64_t))

/* Where each test may write. */
enum {
    WRITE_AT = 64,
    LARGE_AT = 1024,
    THREADS_AT = 8192,
    RANGE_AT = 12288,
    KEPT_AT = 14336, /* up to the end */
};
#define WRITTEN 0x5a5a000000000000ull /* sector n gets the number WRITTEN + n */
#define LARGE_SECTORS 5000u
#define NR_THREADS 24u
#define THREAD_SECTORS 64u

static struct blkdev *disk;

static void fill(void *buffer, uint64_t sector, unsigned nr, uint64_t base)
{
    uint64_t *words = buffer;

    for (unsigned i = 0; i < nr * WORDS; i++)
        words[i] = base + sector + i / WORDS;
}

static bool is_filled(const void *buffer, uint64_t sector, unsigned nr, uint64_t base)
{
    const uint64_t *words = buffer;

    for (unsigned i = 0; i < nr * WORDS; i++)
        if (words[i] != base + sector + i / WORDS)
            return false;
    return true;
}

TEST(blkdev_reads, "Reads of any length, to any address, give what the disk has.")
{
    static char buffer[64 * SECTOR + 1];

    for (unsigned nr = 1; nr <= 64; nr += nr < 4 ? 1 : 15) {
        for (unsigned shift = 0; shift < 2; shift++) {
            memset(buffer, 0xee, sizeof(buffer));
            CHECK_OK(blkdev_read(disk, nr, buffer + shift, nr * SECTOR));
            uint64_t first;
            memcpy(&first, buffer + shift, sizeof(first));
            CHECK_EQ(first, nr);
            memmove(buffer, buffer + shift, nr * SECTOR);
            CHECK(is_filled(buffer, nr, nr, 0));
        }
    }
}

TEST(blkdev_bounds, "What lies beyond the end, or is no whole block, is refused.")
{
    static char buffer[2 * SECTOR];
    uint64_t end = disk->nr_sectors, block = disk->block_bytes / SECTOR;

    CHECK_OK(blkdev_read(disk, end - block, buffer, 0));
    CHECK_OK(blkdev_read(disk, end, buffer, 0));
    CHECK_EQ(blkdev_read(disk, end, buffer, disk->block_bytes), -ENXIO);
    CHECK_EQ(blkdev_read(disk, UINT64_MAX - block + 1, buffer, disk->block_bytes), -ENXIO);
    CHECK_EQ(blkdev_read(disk, 0, buffer, SECTOR - 1), -EINVAL);
    if (block > 1) {
        CHECK_EQ(blkdev_read(disk, 0, buffer, SECTOR), -EINVAL);
        CHECK_EQ(blkdev_read(disk, 1, buffer, disk->block_bytes), -EINVAL);
    }
    if (!disk->is_read_only) {
        CHECK_EQ(blkdev_write(disk, end, buffer, disk->block_bytes), -ENXIO);
        CHECK_EQ(blkdev_discard(disk, end, block), -ENXIO);
    }
}

TEST(blkdev_writes, "What is written is read.")
{
    static char buffer[40 * SECTOR];

    for (unsigned nr = 1; nr <= 40; nr += 13) {
        fill(buffer, WRITE_AT + nr, nr, WRITTEN);
        REQUIRE_OK(blkdev_write(disk, WRITE_AT + nr, buffer, nr * SECTOR));
        memset(buffer, 0, sizeof(buffer));
        REQUIRE_OK(blkdev_read(disk, WRITE_AT + nr, buffer, nr * SECTOR));
        CHECK(is_filled(buffer, WRITE_AT + nr, nr, WRITTEN));
    }
    CHECK_OK(blkdev_flush(disk));
}

TEST(blkdev_large, "A transfer larger than any request is cut, and whole.")
{
    char *buffer = malloc(LARGE_SECTORS * SECTOR);

    REQUIRE(buffer);
    CHECK_LT(disk->max_request_bytes, LARGE_SECTORS * SECTOR);
    fill(buffer, LARGE_AT, LARGE_SECTORS, WRITTEN);
    CHECK_OK(blkdev_write(disk, LARGE_AT, buffer, LARGE_SECTORS * SECTOR));
    memset(buffer, 0, LARGE_SECTORS * SECTOR);
    CHECK_OK(blkdev_read(disk, LARGE_AT, buffer, LARGE_SECTORS * SECTOR));
    CHECK(is_filled(buffer, LARGE_AT, LARGE_SECTORS, WRITTEN));
    free(buffer);
}

static void *write_and_read(void *number)
{
    uint64_t at = THREADS_AT + (uintptr_t)number * THREAD_SECTORS;
    char *buffer = malloc(8 * SECTOR);

    if (!CHECK(buffer))
        return NULL;
    for (unsigned done = 0; done < THREAD_SECTORS; done += 8) {
        fill(buffer, at + done, 8, WRITTEN);
        CHECK_OK(blkdev_write(disk, at + done, buffer, 8 * SECTOR));
        memset(buffer, 0, 8 * SECTOR);
        CHECK_OK(blkdev_read(disk, at + done, buffer, 8 * SECTOR));
        CHECK(is_filled(buffer, at + done, 8, WRITTEN));
    }
    free(buffer);
    return NULL;
}

TEST(blkdev_threads, "More threads than requests use the disk at a time.")
{
    struct thread *threads[NR_THREADS];

    for (unsigned i = 0; i < NR_THREADS; i++)
        REQUIRE_OK(thread_create(&threads[i], NULL, write_and_read, (void *)(uintptr_t)i));
    for (unsigned i = 0; i < NR_THREADS; i++)
        CHECK_OK(thread_join(threads[i], NULL));
}

TEST(blkdev_zeroes, "Zeroes are written where the disk can; what is discarded may go.")
{
    static char buffer[64 * SECTOR], zero[64 * SECTOR];

    CHECK(disk->max_zeroes_sectors && disk->max_discard_sectors);
    fill(buffer, RANGE_AT, 64, WRITTEN);
    REQUIRE_OK(blkdev_write(disk, RANGE_AT, buffer, sizeof(buffer)));
    REQUIRE_OK(blkdev_write_zeroes(disk, RANGE_AT, 32));
    REQUIRE_OK(blkdev_read(disk, RANGE_AT, buffer, sizeof(buffer)));
    CHECK(memcmp(buffer, zero, 32 * SECTOR) == 0);
    CHECK(is_filled(buffer + 32 * SECTOR, RANGE_AT + 32, 32, WRITTEN));
    CHECK_OK(blkdev_discard(disk, RANGE_AT + 32, 32));
}

TEST(readonly_refuses, "A read-only disk is not written.")
{
    static char buffer[SECTOR];

    CHECK_EQ(blkdev_write(disk, KEPT_AT, buffer, SECTOR), -EROFS);
    CHECK_EQ(blkdev_write_zeroes(disk, KEPT_AT, 1), -EROFS);
    CHECK_EQ(blkdev_discard(disk, KEPT_AT, 1), -EROFS);
    CHECK_OK(blkdev_flush(disk));
}

int main(int argc, char **argv)
{
    disk = blkdev_first();
    if (!disk) {
        printf("there is no disk\n");
        return 2;
    }
    printf("%s \"%s\": %lu sectors, blocks of %u (%u) bytes, requests of %u, discards of %u\n",
           disk->name, disk->serial, (unsigned long)disk->nr_sectors, disk->block_bytes,
           disk->physical_block_bytes, disk->max_request_bytes, disk->max_discard_sectors);
    if (argc == 3 && strcmp(argv[1], "workload") == 0)
        return workload_run(disk, (uint32_t)atoi(argv[2])) ? EXIT_FAILURE : EXIT_SUCCESS;
    return test_main(argc, argv);
}
