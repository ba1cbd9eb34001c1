/*
 * A small vsnprintf: %d %i %u %x %X %p %s %c %% with h/hh/l/ll/z/j/t lengths, width, precision (for
 * %s and integers), flags '-', '0' and '#'. Output is always NUL-terminated when bytes > 0; returns
 * the length the whole text would have. No floating point, no locks; callable from anywhere.
 */
#ifndef KERNEL_FORMAT_H
#define KERNEL_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

int kvsnprintf(char *out, size_t bytes, const char *format, va_list args)
    __attribute__((cold, format(printf, 3, 0)));
int ksnprintf(char *out, size_t bytes, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));

#endif
