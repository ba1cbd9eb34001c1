/* The console: the first serial port (16550 UART), polled. Ring 0. */
#ifndef HYPERVISOR_CONSOLE_H
#define HYPERVISOR_CONSOLE_H

#include <stddef.h>

void console_init(void);
/* Writes all of it; returns at once where there is no port. A newline goes out as CR LF. */
void console_write(const char *text, size_t bytes);
/* The bytes that have arrived, at most `bytes`; 0 when none has. */
size_t console_read(char *to, size_t bytes);

#endif
