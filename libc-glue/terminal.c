/*
 * Which files are terminals: the console. newlib's own isatty takes every character device for one.
 *
 * Ordinary calls from threads.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/console_file.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

#define NAME "/dev/console"

/* 0, -EBADF or -ENOTTY. */
static int check_terminal(int fd)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error == 0) {
        error = console_is(file) ? 0 : -ENOTTY;
        file_put(file);
    }
    return error;
}

/* Under isatty and stdio. */
int _isatty(int fd)
{
    int error = check_terminal(fd);

    glue_result(error);
    return error == 0;
}

/* Returns an error number instead of setting errno (POSIX). */
int ttyname_r(int fd, char *out, size_t bytes)
{
    int error = check_terminal(fd);

    if (error == 0 && bytes < sizeof(NAME))
        error = -ERANGE;
    if (error == 0)
        strcpy(out, NAME);
    return -error;
}

char *ttyname(int fd)
{
    static char name[] = NAME;
    int error = check_terminal(fd);

    glue_result(error);
    return error == 0 ? name : NULL;
}
