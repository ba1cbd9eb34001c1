/*
 * Folders to work in.
 */
#define _GNU_SOURCE
#include "tests/posix/work.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/posix/check.h"

static char folder[256];

bool work_begin(void)
{
    const char *where = getenv("WORK");

    snprintf(folder, sizeof(folder), "%s/work-XXXXXX", where != NULL ? where : "/tmp");
    umask(022);
    return CHECK(mkdtemp(folder) == folder) && CHECK_OK(chdir(folder));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *state)
{
    (void)info, (void)type, (void)state;
    return CHECK_OK(remove(path)) ? 0 : -1;
}

bool work_end(void)
{
    bool removed = CHECK_OK(nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS));

    return CHECK_OK(chdir("/")) && removed;
}

int work_file(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

    CHECK_GE(fd, 0);
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

bool work_holds(const char *name, const char *text)
{
    static char found[4096];
    int fd = open(name, O_RDONLY);
    ssize_t bytes = read(fd, found, sizeof(found));

    close(fd);
    return CHECK_EQ(bytes, (ssize_t)strlen(text)) && CHECK(memcmp(found, text, (size_t)bytes) == 0);
}
