/* A small formatter for the hypervisor's messages. Ring 0, no locks (console output is serial). */
#include <stdint.h>
#include "pv/hypervisor/print.h"
#include "pv/hypervisor/console.h"

static void print_number(uint64_t value, unsigned int base)
{
    char digits[20];
    unsigned int at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    console_write(digits + at, sizeof(digits) - at);
}

static void print_text(const char *text)
{
    size_t bytes = 0;

    while (text[bytes])
        bytes++;
    console_write(text, bytes);
}

void print_list(const char *format, va_list args)
{
    while (*format) {
        const char *from = format;

        while (*format && *format != '%')
            format++;
        console_write(from, format - from);
        if (!*format++)
            return;

        int with_prefix = *format == '#';
        format += with_prefix;
        int is_long = *format == 'l';
        format += is_long;

        switch (*format++) {
        case 's':
            print_text(va_arg(args, const char *));
            break;
        case 'c':
            console_write((char[]){(char)va_arg(args, int)}, 1);
            break;
        case 'd': {
            int64_t value = is_long ? va_arg(args, int64_t) : va_arg(args, int);

            if (value < 0)
                console_write("-", 1);
            print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
            break;
        }
        case 'u':
            print_number(is_long ? va_arg(args, uint64_t) : va_arg(args, unsigned int), 10);
            break;
        case 'p':
            is_long = with_prefix = 1;
            /* fall through */
        case 'x':
            if (with_prefix)
                console_write("0x", 2);
            print_number(is_long ? va_arg(args, uint64_t) : va_arg(args, unsigned int), 16);
            break;
        default:
            console_write("%", 1);
            format--;
            if (*format == '%')
                format++;
        }
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_list(format, args);
    va_end(args);
}
