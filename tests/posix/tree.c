/*
 * Files, folders and links of a tree that is there already: tests/host/posix_interface.py makes it.
 * In the guest it is in the initrd, and read-only; on Linux the folder that TREE names.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/check.h"

#define LARGE_BYTES 100000
#define MTIME 1600000000

static bool enter_tree(void)
{
    const char *tree = getenv("TREE");

    return CHECK_OK(chdir(tree != NULL ? tree : "/tree"));
}

#define REQUIRE_TREE() RETURN_UNLESS(enter_tree())

static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY);

    CHECK_GE(fd, 0);
    return fd;
}

TEST(tree_read, "Reading advances, ends, and goes anywhere.")
{
    char text[32];

    REQUIRE_TREE();
    int fd = open_file("file");
    CHECK_EQ(read(fd, text, 4), 4);
    CHECK(memcmp(text, "0123", 4) == 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(read(fd, text, sizeof(text)), 6);
    CHECK(memcmp(text, "456789", 6) == 0);
    CHECK_EQ(read(fd, text, sizeof(text)), 0);
    CHECK_EQ(pread(fd, text, 3, 8), 2);
    CHECK(memcmp(text, "89", 2) == 0);
    CHECK_EQ(pread(fd, text, 3, 100), 0);
    CHECK_EQ(lseek(fd, -3, SEEK_END), 7);
    CHECK_EQ(read(fd, text, 1), 1);
    CHECK_EQ(text[0], '7');
    CHECK_EQ(lseek(fd, 1000, SEEK_SET), 1000);
    CHECK_EQ(read(fd, text, 1), 0);
    CHECK_FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_FAILS(pread(fd, text, 1, -1), EINVAL);
    CHECK_FAILS(write(fd, text, 1), EBADF);
    CHECK_OK(close(fd));
}

TEST(tree_vectors, "Vectors are filled one after another.")
{
    char a[3], b[4], c[10];
    struct iovec vectors[] = {{a, 3}, {NULL, 0}, {b, 4}, {c, 10}};

    REQUIRE_TREE();
    int fd = open_file("file");
    CHECK_EQ(readv(fd, vectors, 4), 10);
    CHECK(memcmp(a, "012", 3) == 0 && memcmp(b, "3456", 4) == 0 && memcmp(c, "789", 3) == 0);
    CHECK_OK(close(fd));
}

TEST(tree_two, "Two openings have their own positions; duplicates share one.")
{
    char byte;

    REQUIRE_TREE();
    int one = open_file("file"), two = open_file("file"), same = dup(one);
    CHECK_EQ(read(one, &byte, 1), 1);
    CHECK_EQ(read(two, &byte, 1), 1);
    CHECK_EQ(byte, '0');
    CHECK_EQ(read(same, &byte, 1), 1);
    CHECK_EQ(byte, '1');
    CHECK_OK(close(one));
    CHECK_OK(close(two));
    CHECK_OK(close(same));
}

TEST(tree_large, "All of a large file arrives, through stdio as well.")
{
    static unsigned char bytes[LARGE_BYTES + 1];

    REQUIRE_TREE();
    FILE *file = fopen("large", "r");
    REQUIRE(file != NULL);
    CHECK_EQ(fread(bytes, 1, sizeof(bytes), file), LARGE_BYTES);
    for (unsigned i = 0; i < LARGE_BYTES; i++)
        REQUIRE_EQ(bytes[i], i * 7 % 251);
    CHECK_EQ(fseek(file, 251, SEEK_SET), 0);
    CHECK_EQ(fgetc(file), 0);
    CHECK_EQ(fclose(file), 0);
    int fd = open_file("large");
    const char *mapped = mmap(NULL, LARGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (CHECK(mapped != MAP_FAILED)) {
        CHECK(memcmp(mapped, bytes, LARGE_BYTES) == 0);
        CHECK_OK(munmap((void *)(uintptr_t)mapped, LARGE_BYTES));
    }
    CHECK_OK(close(fd));
}

TEST(tree_stat, "stat tells type, size, permissions, time, links and identity.")
{
    struct stat file, hard, link, folder, empty;

    REQUIRE_TREE();
    REQUIRE_OK(stat("file", &file));
    CHECK(S_ISREG(file.st_mode));
    CHECK_EQ(file.st_mode & 07777, 0640);
    CHECK_EQ(file.st_size, 10);
    CHECK_EQ(file.st_mtime, MTIME);
    CHECK_EQ(file.st_nlink, 2);
    REQUIRE_OK(stat("hard", &hard));
    CHECK(hard.st_ino == file.st_ino && hard.st_dev == file.st_dev);
    REQUIRE_OK(stat("link", &link));
    CHECK(link.st_ino == file.st_ino);
    REQUIRE_OK(lstat("link", &link));
    CHECK(S_ISLNK(link.st_mode));
    CHECK_EQ(link.st_size, 4);
    REQUIRE_OK(stat("folder/", &folder));
    CHECK(S_ISDIR(folder.st_mode));
    REQUIRE_OK(stat("nothing", &folder));
    CHECK_EQ(folder.st_nlink, 2);
    REQUIRE_OK(stat("empty", &empty));
    CHECK_EQ(empty.st_size, 0);
    int fd = open_file("large");
    REQUIRE_OK(fstat(fd, &file));
    CHECK_EQ(file.st_size, LARGE_BYTES);
    CHECK(file.st_blksize > 0 && file.st_blocks > 0);
    CHECK_OK(close(fd));
}

TEST(tree_paths, "Paths: dots, slashes, links, and what is wrong with one.")
{
    struct stat info;
    char path[PATH_MAX + 2];

    REQUIRE_TREE();
    CHECK_OK(stat("./folder/.././/file", &info));
    CHECK_OK(stat("folder/back", &info));
    CHECK_OK(stat("to-folder/inner", &info));
    CHECK_OK(stat("to-folder/../file", &info));
    CHECK_OK(stat("up", &info));
    CHECK_OK(stat("long", &info));
    CHECK_OK(stat("/", &info));
    CHECK_OK(stat("/../..", &info));
    CHECK_FAILS(stat("", &info), ENOENT);
    CHECK_FAILS(stat("no", &info), ENOENT);
    CHECK_FAILS(stat("no/file", &info), ENOENT);
    CHECK_FAILS(stat("nowhere", &info), ENOENT);
    CHECK_OK(lstat("nowhere", &info));
    CHECK_FAILS(stat("file/", &info), ENOTDIR);
    CHECK_FAILS(stat("file/.", &info), ENOTDIR);
    CHECK_FAILS(stat("file/..", &info), ENOTDIR);
    CHECK_FAILS(stat("file/x", &info), ENOTDIR);
    CHECK_FAILS(stat("link/", &info), ENOTDIR);
    CHECK_FAILS(lstat("link/", &info), ENOTDIR);
    CHECK_OK(lstat("to-folder", &info));
    CHECK(S_ISLNK(info.st_mode));
    CHECK_OK(lstat("to-folder/", &info));
    CHECK(S_ISDIR(info.st_mode));
    CHECK_FAILS(stat("loop", &info), ELOOP);
    CHECK_OK(lstat("loop", &info));
    CHECK_FAILS(lstat("loop/x", &info), ELOOP);
    memset(path, 'n', 300);
    path[300] = 0;
    CHECK_FAILS(stat(path, &info), ENAMETOOLONG);
    memset(path, '/', sizeof(path));
    path[PATH_MAX] = 0;
    CHECK_FAILS(stat(path, &info), ENAMETOOLONG);
    path[PATH_MAX - 1] = 0;
    CHECK_OK(stat(path, &info));
}

TEST(tree_open, "open refuses by flags what stat would find.")
{
    REQUIRE_TREE();
    CHECK_FAILS(open("no", O_RDONLY), ENOENT);
    CHECK_FAILS(open("no/file", O_RDWR | O_CREAT, 0600), ENOENT);
    CHECK_FAILS(open("file", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_FAILS(open("nowhere", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_FAILS(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_FAILS(open("folder", O_RDWR), EISDIR);
    CHECK_FAILS(open("folder", O_WRONLY), EISDIR);
    int fd = open_file("folder");
    char byte;
    CHECK_FAILS(read(fd, &byte, 1), EISDIR);
    int inner = openat(fd, "inner", O_RDONLY);
    CHECK_GE(inner, 0);
    CHECK_FAILS(openat(inner, "x", O_RDONLY), ENOTDIR);
    CHECK_EQ(fcntl(inner, F_GETFL) & O_ACCMODE, O_RDONLY);
    struct stat info;
    CHECK_OK(fstatat(fd, "back", &info, 0));
    CHECK(S_ISREG(info.st_mode));
    CHECK_OK(fstatat(fd, "back", &info, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(info.st_mode));
    CHECK_OK(close(inner));
    CHECK_OK(close(fd));
}

TEST(tree_access, "access and readlink.")
{
    char target[16];

    REQUIRE_TREE();
    CHECK_OK(access("file", F_OK));
    CHECK_OK(access("file", R_OK));
    CHECK_FAILS(access("file", X_OK), EACCES);
    CHECK_OK(access("folder", X_OK));
    CHECK_FAILS(access("no", F_OK), ENOENT);
    CHECK_EQ(readlink("link", target, sizeof(target)), 4);
    CHECK(memcmp(target, "file", 4) == 0);
    CHECK_EQ(readlink("link", target, 2), 2);
    CHECK_FAILS(readlink("file", target, sizeof(target)), EINVAL);
    CHECK_FAILS(readlink("no", target, sizeof(target)), ENOENT);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

TEST(tree_folders, "readdir lists every entry once, with its type; rewinddir, telldir, scandir.")
{
    bool seen[500] = {false};
    struct dirent **list, *entry;
    unsigned index, count = 0, dots = 0;

    REQUIRE_TREE();
    DIR *folder = opendir("many");
    REQUIRE(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') {
            dots++;
            CHECK_EQ(entry->d_type, DT_DIR);
        } else if (CHECK(sscanf(entry->d_name, "entry-%u", &index) == 1 && index < 500)) {
            CHECK(!seen[index]);
            CHECK_EQ(entry->d_type, DT_REG);
            seen[index] = true;
            count++;
        }
    }
    CHECK_EQ(count, 500);
    CHECK_EQ(dots, 2);
    rewinddir(folder);
    for (unsigned i = 0; i < 100; i++)
        CHECK(readdir(folder) != NULL);
    long place = telldir(folder);
    char name[256] = "";
    if (CHECK((entry = readdir(folder)) != NULL))
        strcpy(name, entry->d_name);
    for (unsigned i = 0; i < 200; i++)
        CHECK(readdir(folder) != NULL);
    seekdir(folder, place);
    if (CHECK((entry = readdir(folder)) != NULL))
        CHECK(strcmp(entry->d_name, name) == 0);
    CHECK_OK(closedir(folder));
    int entries = scandir(".", &list, NULL, by_name);
    CHECK_EQ(entries, 16); /* with "." and ".." */
    for (int i = 0; i < entries; i++) {
        struct stat info;
        CHECK_OK(lstat(list[i]->d_name, &info));
        CHECK_EQ(list[i]->d_type, info.st_mode >> 12);
        if (strcmp(list[i]->d_name, "..") != 0)
            CHECK(list[i]->d_ino == info.st_ino);
        free(list[i]);
    }
    if (entries >= 0)
        free(list);
    errno = 0;
    CHECK(opendir("file") == NULL && errno == ENOTDIR);
    CHECK(opendir("no") == NULL && errno == ENOENT);
}

TEST(tree_working_folder, "chdir, fchdir, getcwd and realpath agree.")
{
    char root[PATH_MAX], path[PATH_MAX], expected[PATH_MAX + 16];

    REQUIRE_TREE();
    REQUIRE(getcwd(root, sizeof(root)) == root);
    const char *prefix = strcmp(root, "/") == 0 ? "" : root;
    REQUIRE_OK(chdir("to-folder"));
    snprintf(expected, sizeof(expected), "%s/folder", prefix);
    CHECK(getcwd(path, sizeof(path)) == path && strcmp(path, expected) == 0);
    errno = 0;
    CHECK(getcwd(path, strlen(expected)) == NULL && errno == ERANGE);
    errno = 0;
    CHECK(getcwd(path, 0) == NULL && errno == EINVAL);
    char *allocated = getcwd(NULL, 0);
    CHECK(allocated != NULL && strcmp(allocated, expected) == 0);
    free(allocated);
    CHECK_OK(access("inner", F_OK));
    CHECK_FAILS(chdir("inner"), ENOTDIR);
    CHECK_FAILS(chdir("no"), ENOENT);
    int fd = open_file("..");
    CHECK_OK(fchdir(fd));
    CHECK_OK(close(fd));
    CHECK_FAILS(fchdir(fd), EBADF);
    CHECK(getcwd(path, sizeof(path)) == path && strcmp(path, root) == 0);
    CHECK(realpath("folder/./back", path) == path);
    snprintf(expected, sizeof(expected), "%s/folder/inner", prefix);
    CHECK(strcmp(path, expected) == 0);
    allocated = realpath(".", NULL);
    CHECK(allocated != NULL && strcmp(allocated, root) == 0);
    free(allocated);
    errno = 0;
    CHECK(realpath("no", path) == NULL && errno == ENOENT);
    errno = 0;
    CHECK(realpath("loop", path) == NULL && errno == ELOOP);
}

#ifdef __parvus__
TEST(tree_read_only, "Nothing can be changed.")
{
    REQUIRE_TREE();
    CHECK_FAILS(open("new", O_WRONLY | O_CREAT, 0600), EROFS);
    CHECK_FAILS(open("file", O_RDWR), EROFS);
    CHECK_FAILS(open("file", O_RDONLY | O_TRUNC), EROFS);
    CHECK_FAILS(unlink("file"), EROFS);
    CHECK_FAILS(unlink("no"), ENOENT);
    CHECK_FAILS(mkdir("new", 0700), EROFS);
    CHECK_FAILS(mkdir("folder", 0700), EEXIST);
    CHECK_FAILS(mkdir("no/folder", 0700), ENOENT);
    CHECK_FAILS(rename("file", "new"), EROFS);
    CHECK_FAILS(access("file", W_OK), EROFS);
}
#endif
