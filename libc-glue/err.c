/*
 * err(3): messages with the program's name on standard error.
 *
 * Ordinary calls from threads.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *format, va_list arguments, const char *error)
{
    fflush(stdout);
    flockfile(stderr);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    if (format != NULL)
        vfprintf(stderr, format, arguments);
    fprintf(stderr, "%s%s\n", format != NULL && error != NULL ? ": " : "",
            error != NULL ? error : "");
    funlockfile(stderr);
}

void vwarn(const char *format, va_list arguments)
{
    put(format, arguments, strerror(errno));
}

void vwarnx(const char *format, va_list arguments)
{
    put(format, arguments, NULL);
}

void verr(int status, const char *format, va_list arguments)
{
    put(format, arguments, strerror(errno));
    exit(status);
}

void verrx(int status, const char *format, va_list arguments)
{
    put(format, arguments, NULL);
    exit(status);
}

void warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vwarn(format, arguments);
    va_end(arguments);
}

void warnx(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vwarnx(format, arguments);
    va_end(arguments);
}

void err(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    verr(status, format, arguments);
}

void errx(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    verrx(status, format, arguments);
}
