/*
 * Log messages on the console, one line each ("parvus: [level: ]text"), below a level chosen by
 * `log=error|warn|info|debug` (default warn). Callable from anywhere; the text is cut at 255 bytes.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

extern enum log_level log_level;

void log_write(enum log_level level, const char *format, ...)
    __attribute__((cold, format(printf, 2, 3)));

#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) <= log_level)                                                                  \
            log_write((level), __VA_ARGS__);                                                       \
    } while (0)

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
