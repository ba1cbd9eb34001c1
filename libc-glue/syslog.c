/*
 * Messages for the system's log, as syslog(3) writes them to the console: one line each on standard
 * error.
 *
 * Ordinary calls from threads. Lock: none; what openlog and setlogmask say changes atomically.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_BYTES 1024

static _Atomic(const char *) log_name;
static atomic_int log_options, log_mask = LOG_UPTO(LOG_DEBUG);

void openlog(const char *name, int options, int facility)
{
    (void)facility; /* told to nobody */
    atomic_store(&log_name, name);
    atomic_store(&log_options, options);
}

void closelog(void)
{
    atomic_store(&log_name, NULL);
}

int setlogmask(int mask)
{
    return mask != 0 ? atomic_exchange(&log_mask, mask) : atomic_load(&log_mask);
}

/* The format with each %m replaced: of strerror's texts none has a percent sign. */
static void put_error(char *out, size_t bytes, const char *format, const char *error)
{
    char *end = out + bytes - 1;

    for (; *format != 0 && out < end; format++) {
        if (format[0] == '%' && format[1] == 'm') {
            size_t length = strnlen(error, (size_t)(end - out));
            memcpy(out, error, length);
            out += length;
            format++;
        } else {
            if (format[0] == '%' && format[1] == '%' && out + 1 < end)
                *out++ = *format++;
            *out++ = *format;
        }
    }
    *out = 0;
}

void vsyslog(int priority, const char *format, va_list arguments)
{
    const char *name = atomic_load(&log_name), *error = strerror(errno);
    char with_error[LINE_BYTES], line[LINE_BYTES];
    int used = 0;

    if ((atomic_load(&log_mask) & LOG_MASK(LOG_PRI(priority))) == 0)
        return;
    put_error(with_error, sizeof(with_error), format, error);
    if (name != NULL)
        used = snprintf(line, sizeof(line) / 2,
                        atomic_load(&log_options) & LOG_PID ? "%s[%d]: " : "%s: ", name,
                        (int)getpid());
    if (used > (int)sizeof(line) / 2 - 1)
        used = sizeof(line) / 2 - 1;
    vsnprintf(line + used, sizeof(line) - (size_t)used - 1, with_error, arguments);
    size_t length = strlen(line);
    if (length == 0 || line[length - 1] != '\n')
        line[length++] = '\n';
    write(STDERR_FILENO, line, length); /* at once, however streams are buffered */
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}
