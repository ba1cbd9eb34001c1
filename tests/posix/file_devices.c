/*
 * /dev, and file systems as such: statvfs, mount points, globs and walks over trees.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

TEST(devices_null, "/dev/null, zero and full.")
{
    char bytes[100];
    struct stat info;
    int fd = open("/dev/null", O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK_EQ(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    CHECK_EQ(read(fd, bytes, sizeof(bytes)), 0);
    CHECK_OK(fstat(fd, &info));
    CHECK(S_ISCHR(info.st_mode) && info.st_rdev == (1 << 8 | 3));
    CHECK_FAILS(ftruncate(fd, 0), EINVAL);
    CHECK_EQ(isatty(fd), 0);
    CHECK_OK(close(fd));
    fd = open("/dev/zero", O_RDWR);
    memset(bytes, 1, sizeof(bytes));
    CHECK_EQ(read(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        CHECK_EQ(bytes[i], 0);
    CHECK_EQ(write(fd, bytes, 3), 3);
    CHECK_OK(close(fd));
    fd = open("/dev/full", O_RDWR);
    CHECK_FAILS(write(fd, bytes, 1), ENOSPC);
    CHECK_EQ(read(fd, bytes, 1), 1);
    CHECK_OK(close(fd));
    CHECK_FAILS(open("/dev/null", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_FAILS(open("/dev/null/x", O_RDONLY), ENOTDIR);
    CHECK_FAILS(open("/dev/no-such-device", O_RDONLY), ENOENT);
    CHECK_FAILS(mkdir("/dev/null", 0700), EEXIST);
    CHECK_OK(access("/dev/null", R_OK | W_OK));
    CHECK_FAILS(access("/dev/null", X_OK), EACCES);
}

TEST(devices_fd, "/dev/fd and its like lead to open files.")
{
    char text[16] = "", name[32];
    int ends[2];

    REQUIRE_OK(pipe(ends));
    snprintf(name, sizeof(name), "/dev/fd/%d", ends[1]);
    int fd = open(name, O_WRONLY);
    CHECK_GE(fd, 0);
    CHECK_EQ(write(fd, "text", 4), 4);
    CHECK_EQ(read(ends[0], text, sizeof(text)), 4);
    CHECK_OK(close(fd));
    DIR *folder = opendir("/dev/fd");
    REQUIRE(folder != NULL);
    struct dirent *entry;
    int seen = 0;
    while ((entry = readdir(folder)) != NULL)
        seen += atoi(entry->d_name) == ends[0] || atoi(entry->d_name) == ends[1];
    CHECK_EQ(seen, 2);
    CHECK_OK(closedir(folder));
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    CHECK_FAILS(open(name, O_WRONLY), ENOENT);
    CHECK_OK(close(open("/dev/stdout", O_WRONLY)));
}

TEST(devices_folder, "/dev lists what it has, each as its type says.")
{
    static const char *const wanted[] = {"null", "zero", "full", "urandom", "fd"};
    struct dirent **list;
    unsigned found = 0;
    int entries = scandir("/dev", &list, NULL, alphasort);

    for (int i = 0; i < entries; i++) {
        for (unsigned k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
            found += strcmp(list[i]->d_name, wanted[k]) == 0;
        free(list[i]);
    }
    if (entries >= 0)
        free(list);
    CHECK_EQ(found, sizeof(wanted) / sizeof(wanted[0]));
}

TEST(fs_statvfs, "statvfs tells how much a file system has and how much is left.")
{
    static char page[65536];
    struct statvfs before, after, by_fd;
    struct statfs linux_way;

    REQUIRE_WORK();
    CHECK_OK(statvfs(".", &before));
    CHECK(before.f_blocks > 0 && before.f_bfree <= before.f_blocks && before.f_namemax == 255);
    int fd = work_file("f", "");
    CHECK_EQ(write(fd, page, sizeof(page)), (ssize_t)sizeof(page));
    CHECK_OK(statvfs(".", &after));
    CHECK_GE((before.f_bfree - after.f_bfree) * after.f_frsize, sizeof(page));
    CHECK_OK(fstatvfs(fd, &by_fd));
    CHECK_EQ(by_fd.f_blocks, before.f_blocks);
    CHECK_OK(statfs(".", &linux_way));
    CHECK_EQ(linux_way.f_blocks, before.f_blocks);
    CHECK_OK(fstatfs(fd, &linux_way));
    CHECK_OK(unlink("f"));
    CHECK_OK(close(fd));
    CHECK_OK(statvfs(".", &after));
    CHECK_EQ(after.f_bfree, before.f_bfree);
    CHECK_FAILS(statvfs("no", &after), ENOENT);
    CHECK_FAILS(fstatvfs(-1, &after), EBADF);
    work_end();
}

TEST(fs_mounts, "Paths cross from one file system to another, by dots and by links.")
{
    char path[PATH_MAX];
    struct stat info;

    REQUIRE_WORK();
    CHECK_OK(stat("/dev/../dev/./null", &info));
    CHECK_OK(symlink("/dev", "to-dev"));
    CHECK_OK(stat("to-dev/null", &info));
    CHECK(S_ISCHR(info.st_mode));
    CHECK(realpath("to-dev/null", path) == path && strcmp(path, "/dev/null") == 0);
    CHECK(realpath("to-dev/..", path) == path && strcmp(path, "/") == 0);
    CHECK_OK(chdir("to-dev"));
    CHECK(getcwd(path, sizeof(path)) == path && strcmp(path, "/dev") == 0);
    CHECK_OK(chdir(".."));
    CHECK(getcwd(path, sizeof(path)) == path && strcmp(path, "/") == 0);
    CHECK_FAILS(rmdir("/dev"), EBUSY);
    CHECK_FAILS(rename("/dev", "/dev2"), EBUSY);
    CHECK_FAILS(unlink("/dev"), EISDIR);
    DIR *folder = opendir("/");
    REQUIRE(folder != NULL);
    struct dirent *entry;
    unsigned seen = 0;
    while ((entry = readdir(folder)) != NULL)
        seen += strcmp(entry->d_name, "dev") == 0 || strcmp(entry->d_name, "tmp") == 0;
    CHECK_EQ(seen, 2);
    CHECK_OK(closedir(folder));
    work_end();
}

static unsigned visited;

static int visit(const char *path, const struct stat *info, int type)
{
    (void)path, (void)info;
    visited += type == FTW_F;
    return 0;
}

TEST(fs_patterns, "glob, fnmatch and ftw.")
{
    glob_t found;

    REQUIRE_WORK();
    CHECK_OK(mkdir("d", 0700));
    CHECK_OK(close(work_file("a.c", "")));
    CHECK_OK(close(work_file("b.c", "")));
    CHECK_OK(close(work_file("b.h", "")));
    CHECK_OK(close(work_file("d/c.c", "")));
    CHECK_EQ(glob("*.c", 0, NULL, &found), 0);
    CHECK_EQ(found.gl_pathc, 2);
    CHECK(strcmp(found.gl_pathv[0], "a.c") == 0 && strcmp(found.gl_pathv[1], "b.c") == 0);
    globfree(&found);
    CHECK_EQ(glob("*/*.c", 0, NULL, &found), 0);
    CHECK_EQ(found.gl_pathc, 1);
    globfree(&found);
    CHECK_EQ(fnmatch("[ab].?", "b.h", 0), 0);
    CHECK_EQ(fnmatch("*", ".hidden", FNM_PERIOD), FNM_NOMATCH);
    CHECK_EQ(ftw(".", visit, 4), 0);
    CHECK_EQ(visited, 4);
    work_end();
}
