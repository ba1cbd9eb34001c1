/*
 * The console. console_write may be called from anywhere, the others by threads; none sleeps.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

void console_write(const char *text, size_t bytes);

/* Bytes read (1..bytes), 0 at end of input (from the first ^D on, or where this domain has no
 * console input), -EAGAIN if there is none now, or another -errno. */
int console_read(char *buffer, size_t bytes);

/* Whether console_read has an answer other than -EAGAIN. */
bool console_has_input(void);

/* Supplied by libc-glue. Event context: there may be input where there was none. */
void console_input_came(void);

#endif
