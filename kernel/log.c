/*
 * Log messages.
 *
 * Callers: anything, anywhere. Ring 3. Locks: none; one message is one console write.
 */
#include "kernel/log.h"

#include <stdarg.h>

#include "kernel/format.h"
#include "pv/pv.h"

enum log_level log_level = LOG_LEVEL_WARN;

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const prefixes[] = {"error: ", "warning: ", "", ""};
    char line[256];
    va_list args;

    int length = ksnprintf(line, sizeof(line), "parvus: %s", prefixes[level]);
    va_start(args, format);
    length += kvsnprintf(line + length, sizeof(line) - (size_t)length, format, args);
    va_end(args);
    if (length > (int)sizeof(line) - 1)
        length = sizeof(line) - 1;
    line[length++] = '\n'; /* in place of the NUL */
    pv_console_write(line, (size_t)length);
}
