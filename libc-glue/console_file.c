/*
 * The console as files: one for input, one for output, one for both. They are never released.
 *
 * Callers: the table of descriptors. Reading sleeps until there is input.
 */
#include "libc-glue/console_file.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "kernel/console.h"
#include "libc-glue/deadline.h"

#define CONSOLE_NUMBER (5 << 8 | 1) /* Linux's of /dev/console */
#define BLOCK_BYTES 1024            /* what stdio allocates for a stream */

static int stat_console(struct file *file, struct stat *out)
{
    (void)file;
    out->st_mode = S_IFCHR | S_IRUSR | S_IWUSR;
    out->st_rdev = CONSOLE_NUMBER;
    out->st_blksize = BLOCK_BYTES;
    return 0;
}

void console_input_came(void)
{
    file_wake(&console_input, POLLIN | POLLRDNORM);
    file_wake(&console_terminal, POLLIN | POLLRDNORM);
}

static ssize_t read_console(struct file *file, const struct iovec *to, int count, off_t *position)
{
    int result, error = 0;

    (void)count, (void)position;
    while (to->iov_len == 0)
        to++;
    while ((result = console_read(to->iov_base, to->iov_len)) == -EAGAIN && error == 0 &&
           !file_is_nonblocking(file))
        error = file_wait(file, POLLIN, DEADLINE_NEVER);
    return error != 0 ? error : result;
}

static unsigned poll_input(struct file *file)
{
    (void)file;
    return console_has_input() ? POLLIN | POLLRDNORM : 0;
}

static ssize_t write_console(struct file *file, const struct iovec *from, int count,
                             off_t *position)
{
    ssize_t bytes = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++) {
        console_write(from[i].iov_base, from[i].iov_len);
        bytes += (ssize_t)from[i].iov_len;
    }
    return bytes;
}

static unsigned poll_output(struct file *file)
{
    (void)file;
    return POLLOUT | POLLWRNORM;
}

static int control_console(struct file *file, unsigned long request, void *argument)
{
    (void)file;
    if (request != TIOCGWINSZ)
        return -ENOTTY;
    *(struct winsize *)argument = (struct winsize){0};
    return 0;
}

static const struct file_ops input_ops = {
    .read = read_console,
    .stat = stat_console,
    .ioctl = control_console,
    .poll = poll_input,
};

static const struct file_ops output_ops = {
    .write = write_console,
    .stat = stat_console,
    .ioctl = control_console,
    .poll = poll_output,
};

static unsigned poll_terminal(struct file *file)
{
    return poll_input(file) | poll_output(file);
}

static const struct file_ops terminal_ops = {
    .read = read_console,
    .write = write_console,
    .stat = stat_console,
    .ioctl = control_console,
    .poll = poll_terminal,
};

/* The reference that a static object has on itself is never given up. */
struct file console_input = {.ops = &input_ops, .references = 1, .flags = O_RDONLY};
struct file console_output = {.ops = &output_ops, .references = 1, .flags = O_WRONLY};
struct file console_terminal = {.ops = &terminal_ops, .references = 1, .flags = O_RDWR};

bool console_is(const struct file *file)
{
    return file == &console_input || file == &console_output || file == &console_terminal;
}
