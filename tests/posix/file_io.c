/*
 * Contents of files: reading, writing, positions, sizes, holes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

TEST(file_write, "What is written is read again, by position and from vectors.")
{
    char text[32] = "";

    REQUIRE_WORK();
    int fd = work_file("f", "0123456789");
    CHECK_EQ(read(fd, text, 4), 4);
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
    CHECK_EQ(pwrite(fd, "X", 1, 1), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
    CHECK(work_holds("f", "0X23abc789"));
    struct iovec vectors[] = {{(char[]){"one"}, 3}, {NULL, 0}, {(char[]){"three"}, 5}};
    CHECK_EQ(pwritev(fd, vectors, 3, 8), 8);
    CHECK(work_holds("f", "0X23abc7onethree"));
    CHECK_EQ(preadv(fd, (struct iovec[]){{text, 2}, {text + 10, 3}}, 2, 7), 5);
    CHECK(memcmp(text, "7o", 2) == 0 && memcmp(text + 10, "net", 3) == 0);
    CHECK_FAILS(pwrite(fd, "X", 1, -1), EINVAL);
    CHECK_EQ(pwrite(fd, "X", 0, 100), 0);
    CHECK(work_holds("f", "0X23abc7onethree"));
    CHECK_OK(close(fd));
    fd = open("f", O_WRONLY);
    CHECK_FAILS(read(fd, text, 1), EBADF);
    CHECK_OK(close(fd));
    work_end();
}

TEST(file_append, "O_APPEND writes at the end, wherever the position is.")
{
    REQUIRE_WORK();
    int fd = work_file("f", "abc");
    int end = open("f", O_WRONLY | O_APPEND);
    CHECK_EQ(write(end, "1", 1), 1);
    CHECK_EQ(pwrite(fd, "defgh", 5, 3), 5);
    CHECK_EQ(lseek(end, 0, SEEK_SET), 0);
    CHECK_EQ(write(end, "2", 1), 1);
    CHECK_EQ(lseek(end, 0, SEEK_CUR), 9);
    CHECK(work_holds("f", "abcdefgh2"));
    CHECK_OK(fcntl(end, F_SETFL, 0));
    CHECK_EQ(lseek(end, 0, SEEK_SET), 0);
    CHECK_EQ(write(end, "A", 1), 1);
    CHECK(work_holds("f", "Abcdefgh2"));
    CHECK_OK(close(end));
    CHECK_OK(close(fd));
    work_end();
}

TEST(file_open_flags, "O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW.")
{
    struct stat info;

    REQUIRE_WORK();
    CHECK_FAILS(open("f", O_RDWR), ENOENT);
    CHECK_FAILS(open("no/f", O_RDWR | O_CREAT, 0600), ENOENT);
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    CHECK_GE(fd, 0);
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_mode, S_IFREG | 0644);
    CHECK(S_ISREG(info.st_mode) && info.st_size == 0 && info.st_nlink == 1);
    CHECK_OK(close(fd));
    CHECK_FAILS(open("f", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
    fd = work_file("f", "text");
    CHECK_OK(close(open("f", O_WRONLY)));
    CHECK(work_holds("f", "text"));
    CHECK_OK(close(open("f", O_WRONLY | O_TRUNC)));
    CHECK(work_holds("f", ""));
    CHECK_OK(close(fd));
    CHECK_FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_FAILS(open("f/", O_RDONLY), ENOTDIR);
    CHECK_FAILS(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_OK(symlink("target", "l"));
    CHECK_FAILS(open("l", O_RDONLY), ENOENT);
    CHECK_FAILS(open("l", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_FAILS(open("l", O_RDWR | O_NOFOLLOW), ELOOP);
    fd = open("l", O_RDWR | O_CREAT, 0600);
    CHECK_GE(fd, 0);
    CHECK_OK(close(fd));
    CHECK_OK(lstat("target", &info));
    CHECK_EQ(info.st_mode, S_IFREG | 0600);
    CHECK_OK(mkdir("d", 0755));
    CHECK_FAILS(open("d", O_RDWR), EISDIR);
    CHECK_FAILS(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
    CHECK_FAILS(open(".", O_WRONLY), EISDIR);
    fd = open("d", O_RDONLY | O_DIRECTORY);
    CHECK_GE(fd, 0);
    int inner = openat(fd, "inner", O_RDWR | O_CREAT, 0640);
    CHECK_GE(inner, 0);
    CHECK_EQ(write(inner, "in", 2), 2);
    CHECK(work_holds("d/inner", "in"));
    CHECK_OK(close(inner));
    CHECK_OK(close(fd));
    CHECK_EQ(fd = creat("c", 0400), fd);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_OK(close(fd));
    work_end();
}

TEST(file_truncate, "Files are cut and grow by zeroes.")
{
    char text[8192];
    struct stat info;

    REQUIRE_WORK();
    int fd = work_file("f", "0123456789");
    CHECK_OK(ftruncate(fd, 4));
    CHECK(work_holds("f", "0123"));
    CHECK_OK(truncate("f", 8));
    CHECK_EQ(pread(fd, text, sizeof(text), 0), 8);
    CHECK(memcmp(text, "0123\0\0\0\0", 8) == 0);
    memset(text, 'x', sizeof(text));
    CHECK_EQ(pwrite(fd, text, sizeof(text), 0), (ssize_t)sizeof(text));
    CHECK_OK(ftruncate(fd, 5000));
    CHECK_OK(ftruncate(fd, 8192));
    CHECK_EQ(pread(fd, text, sizeof(text), 0), 8192);
    for (int i = 0; i < 8192; i++)
        if (!CHECK_EQ(text[i], i < 5000 ? 'x' : 0))
            break;
    CHECK_OK(ftruncate(fd, 0));
    CHECK_OK(fstat(fd, &info));
    CHECK(info.st_size == 0 && info.st_blocks == 0);
    CHECK_FAILS(ftruncate(fd, -1), EINVAL);
    CHECK_FAILS(truncate("no", 0), ENOENT);
    CHECK_FAILS(truncate(".", 0), EISDIR);
    CHECK_OK(close(fd));
    fd = open("f", O_RDONLY);
    CHECK_FAILS(ftruncate(fd, 0), EINVAL);
    CHECK_OK(close(fd));
    CHECK_FAILS(ftruncate(fd, 0), EBADF);
    work_end();
}

TEST(file_holes, "A file with holes needs no memory for them, and reads as zeroes.")
{
    static const off_t places[] = {0, 5000, 1 << 20, (off_t)1 << 31, (off_t)1 << 40};
    struct stat info;
    char text[3] = "";

    REQUIRE_WORK();
    int fd = work_file("f", "");
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CHECK_EQ(pwrite(fd, "ab", 2, places[i] + 4095), 2);
        CHECK_OK(fstat(fd, &info));
        CHECK_EQ(info.st_size, places[i] + 4097);
    }
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CHECK_EQ(pread(fd, text, 3, places[i] + 4094), 3);
        CHECK(memcmp(text, "\0ab", 3) == 0);
    }
    CHECK_EQ(pread(fd, text, 3, (off_t)1 << 35), 3);
    CHECK(memcmp(text, "\0\0\0", 3) == 0);
    CHECK_OK(fstat(fd, &info));
    CHECK_LT(info.st_blocks, 200);
    CHECK_OK(ftruncate(fd, 6000));
    CHECK_OK(ftruncate(fd, (off_t)1 << 41));
    CHECK_EQ(pread(fd, text, 2, ((off_t)1 << 40) + 4095), 2);
    CHECK(memcmp(text, "\0\0", 2) == 0);
    CHECK_EQ(pread(fd, text, 2, 4095), 2);
    CHECK(memcmp(text, "ab", 2) == 0);
    CHECK_OK(close(fd));
    work_end();
}

TEST(file_allocate, "posix_fallocate makes room, and keeps what is there.")
{
    struct stat info;

    REQUIRE_WORK();
    int fd = work_file("f", "text");
    CHECK_EQ(posix_fallocate(fd, 0, 10000), 0);
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_size, 10000);
    CHECK_GE(info.st_blocks, 10000 / 512);
    CHECK_EQ(posix_fallocate(fd, 100, 10), 0);
    CHECK_OK(ftruncate(fd, 4));
    CHECK(work_holds("f", "text"));
    CHECK_EQ(posix_fallocate(fd, -1, 10), EINVAL);
    CHECK_EQ(posix_fallocate(fd, 0, 0), EINVAL);
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
    CHECK_OK(close(fd));
    CHECK_EQ(posix_fallocate(fd, 0, 1), EBADF);
    work_end();
}

TEST(file_removed, "A file that has no name any more is still a file, until it is closed.")
{
    struct stat info;
    char text[8] = "";

    REQUIRE_WORK();
    int fd = work_file("f", "text");
    CHECK_OK(unlink("f"));
    CHECK_FAILS(open("f", O_RDONLY), ENOENT);
    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_nlink, 0);
    CHECK_EQ(pwrite(fd, "!", 1, 4), 1);
    CHECK_EQ(read(fd, text, 8), 5);
    CHECK(memcmp(text, "text!", 5) == 0);
    CHECK_OK(close(fd));
    fd = work_file("f", "old");
    int other = work_file("g", "new");
    CHECK_OK(rename("g", "f"));
    CHECK_EQ(read(fd, text, 8), 3);
    CHECK(memcmp(text, "old", 3) == 0);
    CHECK(work_holds("f", "new"));
    CHECK_OK(close(other));
    CHECK_OK(close(fd));
    work_end();
}

TEST(file_stdio, "stdio creates, appends, updates and removes files; tmpfile, mkstemp.")
{
    char text[16] = "", name[] = "tempXXXXXX";

    REQUIRE_WORK();
    FILE *file = fopen("f", "w");
    REQUIRE(file != NULL);
    CHECK_EQ(fprintf(file, "line %d\n", 1), 7);
    CHECK_EQ(fclose(file), 0);
    file = fopen("f", "a");
    CHECK(file != NULL && fputs("line 2\n", file) >= 0);
    CHECK_EQ(fclose(file), 0);
    CHECK(work_holds("f", "line 1\nline 2\n"));
    file = fopen("f", "r+");
    CHECK(file != NULL && fseek(file, 5, SEEK_SET) == 0 && fputc('X', file) == 'X');
    CHECK_EQ(fclose(file), 0);
    CHECK(work_holds("f", "line X\nline 2\n"));
    CHECK(fopen("f", "wx") == NULL && errno == EEXIST);
    file = tmpfile();
    REQUIRE(file != NULL);
    CHECK_EQ(fputs("temporary", file) >= 0, 1);
    rewind(file);
    CHECK(fgets(text, sizeof(text), file) == text && strcmp(text, "temporary") == 0);
    CHECK_EQ(fclose(file), 0);
    int fd = mkstemp(name);
    CHECK_GE(fd, 0);
    CHECK_OK(access(name, R_OK | W_OK));
    CHECK_OK(close(fd));
    CHECK_OK(remove(name));
    CHECK_OK(mkdir("d", 0700));
    CHECK_OK(remove("d"));
    CHECK_FAILS(remove("d"), ENOENT);
    work_end();
}
