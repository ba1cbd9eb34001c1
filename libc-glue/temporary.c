/*
 * Files and folders under names that nobody has and nobody guesses. newlib's own count up.
 *
 * Ordinary calls from threads.
 * Source: POSIX.1-2017, mkdtemp; Linux's mkstemp(3).
 */
#define _GNU_SOURCE /* mkostemps */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "libc-glue/random.h"

#define CHANGED_BYTES 6 /* "XXXXXX" */
#define TRIES 100

/* Where the X are, or NULL and errno is EINVAL. */
static char *find_place(char *name, int suffix_bytes)
{
    size_t bytes = strlen(name);

    if (suffix_bytes >= 0 && bytes >= (size_t)suffix_bytes + CHANGED_BYTES) {
        char *place = name + bytes - (size_t)suffix_bytes - CHANGED_BYTES;

        if (memcmp(place, "XXXXXX", CHANGED_BYTES) == 0)
            return place;
    }
    errno = EINVAL;
    return NULL;
}

static void change(char *place)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t number;

    if (random_bytes(&number, sizeof(number)) != 0)
        number = clock_monotonic_ns();
    for (int i = 0; i < CHANGED_BYTES; i++) {
        place[i] = letters[number % (sizeof(letters) - 1)];
        number /= sizeof(letters) - 1;
    }
}

int mkostemps(char *name, int suffix_bytes, int flags)
{
    char *place = find_place(name, suffix_bytes);

    for (int i = 0; i < TRIES && place != NULL; i++) {
        change(place);
        int fd = open(name, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

int mkostemp(char *name, int flags)
{
    return mkostemps(name, 0, flags);
}

int mkstemps(char *name, int suffix_bytes)
{
    return mkostemps(name, suffix_bytes, 0);
}

int mkstemp(char *name)
{
    return mkostemps(name, 0, 0);
}

char *mkdtemp(char *name)
{
    char *place = find_place(name, 0);

    for (int i = 0; i < TRIES && place != NULL; i++) {
        change(place);
        if (mkdir(name, 0700) == 0)
            return name;
        if (errno != EEXIST)
            break;
    }
    return NULL;
}

/* An empty name where there is none: mktemp(3). */
char *mktemp(char *name)
{
    char *place = find_place(name, 0);

    for (int i = 0; i < TRIES && place != NULL; i++) {
        change(place);
        if (access(name, F_OK) != 0 && errno == ENOENT)
            return name;
    }
    *name = 0;
    return name;
}
