/* The hypervisor's own messages on the console. Ring 0; never blocks for long. */
#ifndef HYPERVISOR_PRINT_H
#define HYPERVISOR_PRINT_H

#include <stdarg.h>

/* Conversions: %s %c %d %u %x %lu %lx %p %%, the # flag; nothing else. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *format, va_list args);

#endif
