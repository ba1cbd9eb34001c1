/*
 * Disks that fail, change and vanish, as tests/host/disk_trouble.py arranges it: sectors that give
 * I/O errors, a host that resizes the disk, and a function that stops answering. Each test is named
 * by its host's side; the disk's other tests do not run with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/blkdev.h"
#include "kernel/pci.h"
#include "kernel/thread.h"
#include "tests/guest/test.h"

#define SECTOR BLKDEV_SECTOR_BYTES
/* Where the host's side fails; a flush fails that follows a write to sector 4000. */
enum { BAD_READS = 1000, BAD_WRITES = 2000, BAD_RANGES = 3000, BAD_FLUSHES = 4000 };

static char buffer[64 * SECTOR];

TEST(trouble_errors, "Errors of the medium are -EIO, of that request alone.")
{
    struct blkdev *disk = blkdev_first();

    for (unsigned times = 0; times < 50; times++) {
        CHECK_EQ(blkdev_read(disk, BAD_READS, buffer, sizeof(buffer)), -EIO);
        CHECK_OK(blkdev_read(disk, BAD_READS - 64, buffer, sizeof(buffer)));
        CHECK_EQ(blkdev_write(disk, BAD_WRITES, buffer, SECTOR), -EIO);
        CHECK_OK(blkdev_write(disk, BAD_WRITES - 1, buffer, SECTOR));
        CHECK_EQ(blkdev_write_zeroes(disk, BAD_RANGES, 8), -EIO);
        CHECK_EQ(blkdev_discard(disk, BAD_RANGES, 8), -EIO);
        CHECK_OK(blkdev_flush(disk));
        CHECK_OK(blkdev_write(disk, BAD_FLUSHES, buffer, SECTOR));
        CHECK_EQ(blkdev_flush(disk), -EIO);
        CHECK_OK(blkdev_write(disk, 0, buffer, SECTOR));
        CHECK_OK(blkdev_flush(disk));
    }
    CHECK(!disk->is_broken);
}

static void *read_on(void *stop)
{
    static char mine[64 * SECTOR];

    while (!*(volatile bool *)stop) {
        int error = blkdev_read(blkdev_first(), (uint64_t)rand() % 1024 * 8, mine, sizeof(mine));

        CHECK(error == 0 || error == -ENXIO || error == -EIO); /* at the moment of the change */
    }
    return NULL;
}

/* Has the host resize it, and waits for that. */
static void await_size(struct blkdev *disk, uint64_t nr_sectors)
{
    printf("trouble: resize to %lu sectors\n", (unsigned long)nr_sectors);
    fflush(stdout);
    while (disk->nr_sectors != nr_sectors)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

TEST(trouble_resize, "A disk grows and shrinks while it is in use.")
{
    struct blkdev *disk = blkdev_first();
    uint64_t before = disk->nr_sectors;
    struct thread *reader;
    bool stop = false;

    REQUIRE_OK(thread_create(&reader, NULL, read_on, &stop));
    CHECK_EQ(blkdev_read(disk, before, buffer, SECTOR), -ENXIO);
    await_size(disk, 2 * before);
    memset(buffer, 0x5a, SECTOR);
    CHECK_OK(blkdev_write(disk, 2 * before - 1, buffer, SECTOR));
    memset(buffer, 0, SECTOR);
    CHECK_OK(blkdev_read(disk, 2 * before - 1, buffer, SECTOR));
    CHECK_EQ(buffer[SECTOR - 1], 0x5a);
    await_size(disk, before / 2);
    CHECK_EQ(blkdev_read(disk, before / 2, buffer, SECTOR), -ENXIO);
    CHECK_OK(blkdev_read(disk, before / 2 - 1, buffer, SECTOR));
    stop = true;
    CHECK_OK(thread_join(reader, NULL));
    CHECK(!disk->is_broken);
}

/* Of the first virtio block function: a read of its memory gives all ones from now on, and a write
 * goes nowhere, as with one that was pulled out. */
static int vanish(const struct pci_function *f, void *unused)
{
    (void)unused;
    if (f->vendor != 0x1af4 || f->device != 0x1042)
        return 0;
    pci_command(f, 0, PCI_COMMAND_MEMORY);
    return 1;
}

TEST(trouble_gone,
     "A disk that vanishes is found out, every call is -EIO, and the other one works.")
{
    struct blkdev *gone = blkdev_first(), *other = blkdev_next(gone);

    REQUIRE(other);
    REQUIRE_OK(blkdev_read(gone, 0, buffer, SECTOR));
    REQUIRE(pci_scan(vanish, NULL) == 1);
    CHECK_EQ(blkdev_read(gone, 0, buffer, SECTOR), -EIO);
    CHECK(gone->is_broken);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(blkdev_write(gone, 0, buffer, SECTOR), -EIO);
    CHECK_EQ(blkdev_flush(gone), -EIO);
    CHECK_OK(blkdev_write(other, 0, buffer, sizeof(buffer)));
    CHECK_OK(blkdev_flush(other));
}
