/* The console: the first serial port (16550 UART). Ring 0. */
#ifndef HYPERVISOR_CONSOLE_H
#define HYPERVISOR_CONSOLE_H

#include <stddef.h>

void console_init(void);
/* Writes all of it; returns at once where there is no port. A newline goes out as CR LF. */
void console_write(const char *text, size_t bytes);
/*
 * From now on VECTOR_CONSOLE is raised when bytes arrive, and VIRQ_CONSOLE is sent for those that
 * have. -ENODEV: no port, or no way to route its interrupt.
 */
int console_enable_interrupt(void);
/* Out of VECTOR_CONSOLE. */
void console_interrupt(void);
/* The bytes that have arrived, at most `bytes`; 0 when none has. */
size_t console_read(char *to, size_t bytes);

#endif
