/*
 * The console. console_write may be called from anywhere; console_read sleeps until at least one
 * byte is there.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stddef.h>

void console_write(const char *text, size_t bytes);

/* Bytes read (1..bytes), 0 at end of input (from the first ^D on, or where this domain has no
 * console input), or -errno. */
int console_read(char *buffer, size_t bytes);

#endif
