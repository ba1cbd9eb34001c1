/*
 * Names of files: making, moving, removing, linking, listing; and what refuses.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

static void make_file(const char *name, const char *text)
{
    CHECK_OK(close(work_file(name, text)));
}

static nlink_t links_of(const char *name)
{
    struct stat info = {0};

    CHECK_OK(lstat(name, &info));
    return info.st_nlink;
}

TEST(names_mkdir, "mkdir and rmdir.")
{
    struct stat info;

    REQUIRE_WORK();
    CHECK_OK(mkdir("d", 0777));
    CHECK_OK(stat("d", &info));
    CHECK_EQ(info.st_mode, S_IFDIR | 0755);
    CHECK_EQ(links_of("d"), 2);
    CHECK_FAILS(mkdir("d", 0777), EEXIST);
    CHECK_FAILS(mkdir("d/", 0777), EEXIST);
    CHECK_FAILS(mkdir(".", 0777), EEXIST);
    CHECK_FAILS(mkdir("..", 0777), EEXIST);
    CHECK_FAILS(mkdir("/", 0777), EEXIST);
    CHECK_FAILS(mkdir("", 0777), ENOENT);
    CHECK_FAILS(mkdir("no/d", 0777), ENOENT);
    CHECK_OK(mkdir("d/e/", 0700));
    CHECK_EQ(links_of("d"), 3);
    CHECK_OK(mkdirat(AT_FDCWD, "d/e/f", 0700));
    make_file("file", "");
    CHECK_FAILS(mkdir("file/d", 0777), ENOTDIR);
    CHECK_FAILS(mkdir("file", 0777), EEXIST);
    CHECK_OK(symlink("nowhere", "l"));
    CHECK_FAILS(mkdir("l", 0777), EEXIST);
    CHECK_FAILS(rmdir("d"), ENOTEMPTY);
    CHECK_FAILS(rmdir("d/."), EINVAL);
    CHECK_FAILS(rmdir("d/.."), ENOTEMPTY);
    CHECK_FAILS(rmdir("/"), EBUSY);
    CHECK_FAILS(rmdir("file"), ENOTDIR);
    CHECK_FAILS(rmdir("l"), ENOTDIR);
    CHECK_FAILS(rmdir("no"), ENOENT);
    CHECK_OK(rmdir("d/e/f/"));
    CHECK_OK(unlinkat(AT_FDCWD, "d/e", AT_REMOVEDIR));
    CHECK_EQ(links_of("d"), 2);
    CHECK_OK(symlink("d", "to-d"));
    CHECK_FAILS(rmdir("to-d/"), ENOTDIR);
    CHECK_OK(rmdir("d"));
    CHECK_FAILS(stat("d", &info), ENOENT);
    work_end();
}

TEST(names_unlink, "unlink removes a name, never a folder.")
{
    REQUIRE_WORK();
    make_file("f", "");
    CHECK_OK(mkdir("d", 0700));
    CHECK_FAILS(unlink("d"), EISDIR);
    CHECK_FAILS(unlink("."), EISDIR);
    CHECK_FAILS(unlink("/"), EISDIR);
    CHECK_FAILS(unlink("f/"), ENOTDIR);
    CHECK_FAILS(unlink("f/x"), ENOTDIR);
    CHECK_FAILS(unlink("no"), ENOENT);
    CHECK_FAILS(unlinkat(AT_FDCWD, "f", ~AT_REMOVEDIR), EINVAL);
    CHECK_FAILS(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(unlink("l"));
    CHECK_OK(access("f", F_OK));
    CHECK_OK(unlink("f"));
    CHECK_FAILS(unlink("f"), ENOENT);
    work_end();
}

TEST(names_link, "A file has as many names as it is given.")
{
    struct stat a, b;

    REQUIRE_WORK();
    make_file("f", "text");
    CHECK_OK(link("f", "g"));
    CHECK_OK(mkdir("d", 0700));
    CHECK_OK(link("g", "d/h"));
    CHECK_EQ(links_of("f"), 3);
    CHECK_OK(stat("f", &a));
    CHECK_OK(stat("d/h", &b));
    CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    make_file("g", "other");
    CHECK(work_holds("d/h", "other"));
    CHECK_FAILS(link("f", "g"), EEXIST);
    CHECK_FAILS(link("no", "x"), ENOENT);
    CHECK_FAILS(link("f", "no/x"), ENOENT);
    CHECK_FAILS(link("f", "x/"), ENOENT);
    CHECK_FAILS(link("d", "x"), EPERM);
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(link("l", "l2"));
    CHECK_OK(lstat("l2", &a));
    CHECK(S_ISLNK(a.st_mode) && a.st_nlink == 2);
    CHECK_OK(linkat(AT_FDCWD, "l", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    CHECK_EQ(links_of("f"), 4);
    CHECK_OK(unlink("f"));
    CHECK_EQ(links_of("g"), 3);
    CHECK_FAILS(link("/dev/null", "x"), EXDEV);
    work_end();
}

TEST(names_symlink, "Symbolic links: targets of any kind, loops, lengths.")
{
    char target[PATH_MAX + 1], found[PATH_MAX];
    struct stat info;

    REQUIRE_WORK();
    CHECK_OK(symlink("any thing", "l"));
    CHECK_EQ(readlink("l", found, sizeof(found)), 9);
    CHECK(memcmp(found, "any thing", 9) == 0);
    CHECK_EQ(readlinkat(AT_FDCWD, "l", found, 3), 3);
    CHECK_FAILS(readlink("l", found, 0), EINVAL);
    CHECK_OK(lstat("l", &info));
    CHECK_EQ(info.st_size, 9);
    CHECK_FAILS(symlink("x", "l"), EEXIST);
    CHECK_FAILS(symlink("", "m"), ENOENT);
    CHECK_FAILS(symlink("x", ""), ENOENT);
    CHECK_FAILS(symlink("x", "m/"), ENOENT);
    memset(target, 'x', PATH_MAX);
    target[PATH_MAX] = 0;
    CHECK_FAILS(symlink(target, "m"), ENAMETOOLONG);
    target[PATH_MAX - 1] = 0;
    CHECK_OK(symlink(target, "m"));
    CHECK_EQ(readlink("m", found, sizeof(found)), PATH_MAX - 1);
    CHECK_FAILS(stat("m", &info), ENAMETOOLONG);
    CHECK_OK(symlink("b", "a"));
    CHECK_OK(symlink("a", "b"));
    CHECK_FAILS(stat("a", &info), ELOOP);
    CHECK_FAILS(open("a", O_RDWR | O_CREAT, 0600), ELOOP);
    make_file("end", "");
    for (int i = 0; i < 41; i++) {
        char from[16], to[16];
        snprintf(to, sizeof(to), i == 0 ? "end" : "c%d", i - 1);
        snprintf(from, sizeof(from), "c%d", i);
        CHECK_OK(symlink(to, from));
    }
    CHECK_OK(stat("c39", &info));
    CHECK_FAILS(stat("c40", &info), ELOOP);
    CHECK_OK(symlink("/dev/null", "out"));
    CHECK_OK(stat("out", &info));
    CHECK(S_ISCHR(info.st_mode));
    work_end();
}

TEST(names_rename, "rename moves, replaces what is of the same kind, and refuses the rest.")
{
    struct stat info;

    REQUIRE_WORK();
    make_file("f", "f");
    make_file("g", "g");
    CHECK_OK(rename("f", "h"));
    CHECK_FAILS(stat("f", &info), ENOENT);
    CHECK_OK(rename("h", "g"));
    CHECK(work_holds("g", "f"));
    CHECK_OK(rename("g", "g"));
    CHECK_OK(link("g", "g2"));
    CHECK_OK(rename("g", "g2"));
    CHECK_EQ(links_of("g"), 2);
    CHECK_OK(mkdir("d", 0700));
    CHECK_OK(mkdir("d/e", 0700));
    CHECK_OK(mkdir("x", 0700));
    CHECK_FAILS(rename("g", "d"), EISDIR);
    CHECK_FAILS(rename("d", "g"), ENOTDIR);
    CHECK_FAILS(rename("x", "d"), ENOTEMPTY);
    CHECK_FAILS(rename("d", "d/e/x"), EINVAL);
    CHECK_FAILS(rename("d", "d/x"), EINVAL);
    CHECK_FAILS(rename("d/e", "d"), ENOTEMPTY);
    CHECK_FAILS(rename("d", "d/."), EBUSY);
    CHECK_FAILS(rename("d/..", "y"), EBUSY);
    CHECK_FAILS(rename("no", "y"), ENOENT);
    CHECK_FAILS(rename("g", "no/y"), ENOENT);
    CHECK_FAILS(rename("g", "y/"), ENOTDIR);
    CHECK_FAILS(rename("g/", "y"), ENOTDIR);
    CHECK_FAILS(rename("g/y", "y"), ENOTDIR);
    CHECK_FAILS(rename("g", "/dev/null"), EXDEV);
    CHECK_OK(rename("d", "x"));
    CHECK_EQ(links_of("x"), 3);
    CHECK_OK(renameat(AT_FDCWD, "x/e", AT_FDCWD, "moved/"));
    CHECK_EQ(links_of("x"), 2);
    CHECK_OK(rename("x", "moved/x"));
    CHECK_OK(rename("g", "moved/x/g"));
    CHECK(work_holds("moved/x/g", "f"));
    CHECK_OK(symlink("moved", "l"));
    CHECK_OK(rename("l", "l2"));
    CHECK_OK(lstat("l2", &info));
    CHECK(S_ISLNK(info.st_mode));
    CHECK_OK(rename("l2", "g2"));
    CHECK_OK(lstat("g2", &info));
    CHECK(S_ISLNK(info.st_mode));
    work_end();
}

TEST(names_long, "Names of 255 bytes, paths of PATH_MAX - 1.")
{
    char name[NAME_MAX + 2], path[PATH_MAX + 1];
    struct stat info;

    REQUIRE_WORK();
    memset(name, 'n', sizeof(name));
    name[NAME_MAX + 1] = 0;
    CHECK_FAILS(mkdir(name, 0700), ENAMETOOLONG);
    CHECK_FAILS(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    CHECK_FAILS(symlink("x", name), ENAMETOOLONG);
    name[NAME_MAX] = 0;
    make_file(name, "x");
    CHECK_OK(stat(name, &info));
    memset(path, 0, sizeof(path));
    while (strlen(path) + 2 < PATH_MAX - NAME_MAX)
        strcat(path, "./");
    strcat(path, name);
    CHECK_OK(stat(path, &info));
    while (strlen(path) < PATH_MAX)
        strcat(path, "/");
    CHECK_FAILS(stat(path, &info), ENAMETOOLONG);
    CHECK_OK(mkdir("\x01 \xff", 0700));
    CHECK_OK(rmdir("\x01 \xff"));
    work_end();
}

TEST(names_removed_folder, "In a folder that was removed nothing can be made, and it has no path.")
{
    char path[PATH_MAX];
    struct stat info;

    REQUIRE_WORK();
    CHECK_OK(mkdir("d", 0700));
    int up = open(".", O_RDONLY);
    CHECK_OK(chdir("d"));
    CHECK_OK(rmdir("../d"));
    CHECK_FAILS(open("f", O_RDWR | O_CREAT, 0600), ENOENT);
    CHECK_FAILS(mkdir("f", 0700), ENOENT);
    CHECK_FAILS(symlink("x", "f"), ENOENT);
    CHECK_OK(stat(".", &info));
    CHECK_EQ(info.st_nlink, 0);
    errno = 0;
    CHECK(getcwd(path, sizeof(path)) == NULL && errno == ENOENT);
    CHECK_OK(fchdir(up));
    CHECK_OK(close(up));
    CHECK(getcwd(path, sizeof(path)) == path);
    CHECK_OK(mkdir("a", 0700));
    CHECK_OK(mkdir("a/b", 0700));
    CHECK_OK(chdir("a/b"));
    CHECK_OK(rename("../../a", "../../moved"));
    CHECK(getcwd(path, sizeof(path)) == path && strstr(path, "/moved/b") != NULL);
    char *real = realpath("..", NULL);
    CHECK(real != NULL && strstr(real, "/moved") != NULL);
    free(real);
    CHECK_OK(chdir("../.."));
    work_end();
}

TEST(names_list, "Folders list each entry once while others come and go; telldir, seekdir.")
{
    enum { COUNT = 400 };
    bool seen[COUNT] = {false};
    struct dirent *entry;
    char name[32];

    REQUIRE_WORK();
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "entry-%d", i);
        make_file(name, "");
    }
    DIR *folder = opendir(".");
    REQUIRE(folder != NULL);
    int count = 0, dots = 0;
    while ((entry = readdir(folder)) != NULL) {
        int i;

        if (entry->d_name[0] == '.') {
            dots++;
            continue;
        }
        if (sscanf(entry->d_name, "entry-%d", &i) != 1)
            continue; /* one that came meanwhile */
        CHECK(!seen[i] && entry->d_type == DT_REG);
        seen[i] = true;
        CHECK_OK(unlink(entry->d_name));
        snprintf(name, sizeof(name), "new-%d", i);
        make_file(name, "");
        count++;
    }
    CHECK_EQ(count, COUNT);
    CHECK_EQ(dots, 2);
    rewinddir(folder);
    for (count = 0; (entry = readdir(folder)) != NULL; count++)
        ;
    CHECK_EQ(count, COUNT + 2);
    CHECK_OK(closedir(folder));
    int fd = open(".", O_RDONLY);
    folder = fdopendir(fd);
    CHECK(folder != NULL && dirfd(folder) == fd);
    CHECK_OK(closedir(folder));
    work_end();
}

TEST(names_attributes, "chmod, chown, times and umask.")
{
    struct stat info;
    struct timespec times[2] = {{1000, 5}, {2000, 7}};

    REQUIRE_WORK();
    make_file("f", "text");
    CHECK_OK(chmod("f", 0751));
    CHECK_OK(stat("f", &info));
    CHECK_EQ(info.st_mode, S_IFREG | 0751);
    int fd = open("f", O_RDONLY);
    CHECK_OK(fchmod(fd, 0600));
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_mode & 07777, 0600);
    CHECK_FAILS(access("f", X_OK), EACCES);
    CHECK_FAILS(chmod("no", 0600), ENOENT);
    CHECK_FAILS(fchmod(-1, 0600), EBADF);
    CHECK_OK(futimens(fd, times));
    CHECK_OK(fstat(fd, &info));
    CHECK(info.st_atim.tv_sec == 1000 && info.st_atim.tv_nsec == 5);
    CHECK(info.st_mtim.tv_sec == 2000 && info.st_mtim.tv_nsec == 7);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_atim.tv_sec, 1000);
    CHECK_GE(info.st_mtim.tv_sec, 1600000000);
    times[0].tv_nsec = 1000000000;
    CHECK_FAILS(utimensat(AT_FDCWD, "f", times, 0), EINVAL);
    CHECK_OK(close(fd));
    CHECK_OK(chown("f", 12, 34));
    CHECK_OK(stat("f", &info));
    CHECK(info.st_uid == 12 && info.st_gid == 34);
    CHECK_OK(chown("f", (uid_t)-1, 0));
    CHECK_OK(stat("f", &info));
    CHECK(info.st_uid == 12 && info.st_gid == 0);
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(lchown("l", 5, 6));
    CHECK_OK(lstat("l", &info));
    CHECK_EQ(info.st_uid, 5);
    CHECK_OK(stat("l", &info));
    CHECK_EQ(info.st_uid, 12);
    CHECK_EQ(umask(077), 022);
    make_file("g", "");
    CHECK_OK(stat("g", &info));
    CHECK_EQ(info.st_mode & 07777, 0600);
    CHECK_EQ(umask(022), 077);
    /* What changes a folder's entries changes its time. */
    times[0] = times[1] = (struct timespec){1, 0};
    CHECK_OK(utimensat(AT_FDCWD, ".", times, 0));
    make_file("h", "");
    CHECK_OK(stat(".", &info));
    CHECK_GE(info.st_mtim.tv_sec, 1600000000);
    work_end();
}
