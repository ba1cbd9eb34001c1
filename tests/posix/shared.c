/*
 * A folder that is shared with another system, the one that SHARED names (in the guest, one of the
 * host's: tests/host/posix_interface.py looks at it before and after). Without it, there is nothing
 * to test.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

TEST(shared_files, "What the other side wrote is there, and what we write is for it.")
{
    static char large[300000], found[300000];
    const char *folder = getenv("SHARED");

    if (folder == NULL)
        return;
    REQUIRE_OK(chdir(folder));
    CHECK(work_holds("from-host", "written by the host\n"));
    int fd = open("from-guest", O_RDWR | O_CREAT | O_EXCL, 0644);
    REQUIRE_GE(fd, 0);
    for (unsigned i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 31 % 253);
    CHECK_EQ(pwrite(fd, large, sizeof(large), 1), (ssize_t)sizeof(large));
    CHECK_EQ(pread(fd, found, sizeof(found), 1), (ssize_t)sizeof(found));
    CHECK(memcmp(large, found, sizeof(large)) == 0);
    /* Nobody would tell the host of a write. */
    errno = 0;
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
    CHECK_OK(ftruncate(fd, 0));
    CHECK_EQ(write(fd, "written by the guest\n", 21), 21);
    CHECK_OK(fsync(fd));
    CHECK_OK(close(fd));
    CHECK_OK(chdir("/"));
}
