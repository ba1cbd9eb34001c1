/*
 * Files under stress: no space, no descriptors, threads that rename and remove, and random
 * operations next to a model of what they do.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/work.h"

#define FULL_MAX_BYTES (16ul << 20) /* a larger file system is not filled */

TEST(files_full, "A full file system says ENOSPC, loses nothing, and recovers.")
{
    static char chunk[100000], found[100000];
    struct statvfs info;
    ssize_t part;
    size_t total = 0;

    REQUIRE_WORK();
    CHECK_OK(statvfs(".", &info));
    memset(chunk, 'x', sizeof(chunk));
    if (info.f_bfree * info.f_frsize <= FULL_MAX_BYTES) {
        int fd = work_file("f", "");
        while ((part = write(fd, chunk, sizeof(chunk))) > 0)
            total += (size_t)part;
        CHECK_EQ(errno, ENOSPC);
        CHECK_GE(total + 3 * info.f_frsize, info.f_bfree * info.f_frsize);
        CHECK_GE(info.f_bfree * info.f_frsize, total);
        CHECK_FAILS(pwrite(fd, "y", 1, (off_t)total + 100000), ENOSPC);
        CHECK_EQ(pwrite(fd, "y", 1, 10), 1);
        int empty = work_file("g", "");
        CHECK_FAILS(write(empty, "y", 1), ENOSPC);
        CHECK_EQ(posix_fallocate(empty, 0, 4096), ENOSPC);
        CHECK_OK(fsync(fd));
        CHECK_EQ(pread(fd, found, 20, 0), 20);
        CHECK(memcmp(found, "xxxxxxxxxxyxxxxxxxxx", 20) == 0);
        CHECK_OK(ftruncate(fd, 100));
        CHECK_EQ(write(empty, chunk, sizeof(chunk)), (ssize_t)sizeof(chunk));
        CHECK_OK(close(empty));
        CHECK_OK(close(fd));
    }
    work_end();
}

TEST(files_no_descriptor, "Without a free descriptor nothing is made.")
{
    struct stat info;

    REQUIRE_WORK();
    int first = dup(1), last = first, fd;
    while ((fd = dup(1)) >= 0)
        last = fd;
    CHECK_FAILS(open("f", O_RDWR | O_CREAT, 0600), EMFILE);
    CHECK_FAILS(stat("f", &info), ENOENT);
    for (fd = first; fd <= last; fd++)
        close(fd);
    work_end();
}

static atomic_bool stop;

/* Replaces "f" by whole new files. */
static void *replace(void *argument)
{
    char name[8], text[100];

    snprintf(name, sizeof(name), "%s", (const char *)argument);
    memset(text, *name, sizeof(text));
    for (int i = 0; i < 150; i++) {
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK_EQ(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
        CHECK_OK(close(fd));
        CHECK_OK(rename(name, "f"));
        sleep_ms(0);
    }
    atomic_store(&stop, true);
    return NULL;
}

/* Opens "f", which is always there and always whole. */
static void *look(void *argument)
{
    char text[101];

    (void)argument;
    while (!atomic_load(&stop)) {
        int fd = open("f", O_RDONLY);

        if (!CHECK_GE(fd, 0))
            break;
        CHECK_EQ(read(fd, text, sizeof(text)), 100);
        for (int i = 1; i < 100; i++)
            CHECK_EQ(text[i], text[0]);
        CHECK_OK(close(fd));
        sleep_ms(0);
    }
    return NULL;
}

/* Makes and removes one name and one folder together with the other threads. */
static void *make_and_remove(void *argument)
{
    (void)argument;
    for (int i = 0; i < 150; i++) {
        int fd = open("shared/x", O_RDWR | O_CREAT, 0600);
        if (fd >= 0) {
            CHECK_EQ(write(fd, "1", 1), 1);
            CHECK_OK(close(fd));
        } else {
            CHECK(errno == ENOENT);
        }
        CHECK(unlink("shared/x") == 0 || errno == ENOENT);
        CHECK(rmdir("shared") == 0 || errno == ENOENT || errno == ENOTEMPTY);
        CHECK(mkdir("shared", 0700) == 0 || errno == EEXIST);
        sleep_ms(0);
    }
    return NULL;
}

TEST(files_threads, "Renames are whole, whoever looks; names and folders come and go.")
{
    struct worker *workers[6];
    int count = 0;

    REQUIRE_WORK();
    atomic_store(&stop, false);
    int fd = work_file("f", "");
    char text[100];
    memset(text, 'z', sizeof(text));
    CHECK_EQ(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
    CHECK_OK(close(fd));
    workers[count++] = worker_start(look, NULL);
    workers[count++] = worker_start(look, NULL);
    workers[count++] = worker_start(replace, "a");
    workers[count++] = worker_start(replace, "b");
    workers[count++] = worker_start(make_and_remove, NULL);
    workers[count++] = worker_start(make_and_remove, NULL);
    while (count > 0)
        worker_join(workers[--count]);
    work_end();
}

/* --- Random operations and their model -------------------------------------------------------- */

enum { NAMES = 8, FILES = 32, FILE_MAX = 40000, STEPS = 3000 };

struct model_file {
    unsigned links;
    size_t bytes;
    char *data;
};

static struct model_file files[FILES];
static int names[NAMES]; /* which file, or -1 */
static uint32_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223; /* Numerical Recipes */
    return (seed >> 8) % below;
}

/* Half of the names are in a folder. */
static const char *name_of(int name, char text[16])
{
    snprintf(text, 16, name % 2 ? "d/n%d" : "n%d", name);
    return text;
}

static int new_file(void)
{
    int i = 0;

    while (files[i].links != 0)
        i++;
    files[i].bytes = 0;
    memset(files[i].data, 0, FILE_MAX);
    return i;
}

static void drop(int name)
{
    files[names[name]].links--;
    names[name] = -1;
}

static void do_write(int name, int fd)
{
    static char text[9000];
    struct model_file *file = &files[names[name]];
    size_t at = any(FILE_MAX - sizeof(text)),
           bytes = any(10) ? any(300) + 1 : any(sizeof(text)) + 1;

    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)any(256);
    CHECK_EQ(pwrite(fd, text, bytes, (off_t)at), (ssize_t)bytes);
    memcpy(file->data + at, text, bytes);
    if (file->bytes < at + bytes)
        file->bytes = at + bytes;
}

static void do_truncate(int name, int fd)
{
    struct model_file *file = &files[names[name]];
    size_t bytes = any(FILE_MAX);

    CHECK_OK(ftruncate(fd, (off_t)bytes));
    if (bytes < file->bytes)
        memset(file->data + bytes, 0, file->bytes - bytes);
    file->bytes = bytes;
}

static void do_compare(int name, int fd)
{
    static char found[FILE_MAX + 1];
    const struct model_file *file = &files[names[name]];
    struct stat info;

    CHECK_OK(fstat(fd, &info));
    CHECK_EQ(info.st_size, file->bytes);
    CHECK_EQ(info.st_nlink, file->links);
    CHECK_EQ(pread(fd, found, sizeof(found), 0), (ssize_t)file->bytes);
    CHECK(memcmp(found, file->data, file->bytes) == 0);
}

static void do_name(int a, int b)
{
    char from[16], to[16];

    name_of(a, from);
    name_of(b, to);
    switch (any(3)) {
    case 0:
        CHECK_OK(unlink(from));
        drop(a);
        break;
    case 1:
        CHECK_OK(rename(from, to));
        if (names[a] != names[b]) { /* two names of one file stay: POSIX */
            if (names[b] >= 0)
                drop(b);
            names[b] = names[a];
            names[a] = -1;
        }
        break;
    case 2:
        if (names[b] >= 0) {
            CHECK_FAILS(link(from, to), EEXIST);
        } else {
            CHECK_OK(link(from, to));
            names[b] = names[a];
            files[names[a]].links++;
        }
        break;
    }
}

TEST(files_model, "Thousands of random operations do what a simple model does.")
{
    static char memory[FILES][FILE_MAX];
    char text[16];

    REQUIRE_WORK();
    seed = 42;
    CHECK_OK(mkdir("d", 0700));
    for (int i = 0; i < FILES; i++)
        files[i] = (struct model_file){.data = memory[i]};
    for (int i = 0; i < NAMES; i++)
        names[i] = -1;
    for (int step = 0; step < STEPS && !test_has_failed(); step++) {
        int name = (int)any(NAMES), what = (int)any(8);

        if (names[name] < 0) {
            CHECK_FAILS(open(name_of(name, text), O_RDWR), ENOENT);
            CHECK_OK(close(open(text, O_RDWR | O_CREAT | O_EXCL, 0600)));
            names[name] = new_file();
            files[names[name]].links = 1;
        } else if (what == 0) {
            do_name(name, (int)any(NAMES));
        } else {
            int fd = open(name_of(name, text), O_RDWR);
            CHECK_GE(fd, 0);
            if (what < 5)
                do_write(name, fd);
            else if (what < 6)
                do_truncate(name, fd);
            else
                do_compare(name, fd);
            CHECK_OK(close(fd));
        }
    }
    work_end();
}
