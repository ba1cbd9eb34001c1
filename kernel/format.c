/*
 * A small vsnprintf for the kernel's own messages.
 *
 * Callers: log, panic, anything. Ring 3. Locks: none.
 */
#include "kernel/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct output {
    char *text;
    size_t bytes;  /* room, the final NUL included */
    size_t length; /* of the whole text so far, whether it fit or not */
};

struct spec {
    bool left, zeros, alternate;
    int width, precision; /* precision -1: none */
    int length;           /* 0 int, 1 long, 2 long long and the like; -1 short, -2 char */
};

static void put(struct output *o, char c)
{
    if (o->length + 1 < o->bytes)
        o->text[o->length] = c;
    o->length++;
}

static void put_repeated(struct output *o, char c, int count)
{
    while (count-- > 0)
        put(o, c);
}

/* prefix is a sign or "0x"; digits follow it after any zeros. */
static void put_field(struct output *o, const struct spec *s, const char *prefix,
                      const char *digits, size_t count)
{
    int body = (int)(count + strlen(prefix)), pad = s->width - body;

    if (!s->left && !s->zeros)
        put_repeated(o, ' ', pad);
    for (; *prefix; prefix++)
        put(o, *prefix);
    if (!s->left && s->zeros)
        put_repeated(o, '0', pad);
    for (size_t i = 0; i < count; i++)
        put(o, digits[i]);
    if (s->left)
        put_repeated(o, ' ', pad);
}

static void put_number(struct output *o, struct spec *s, uint64_t value, bool negative,
                       unsigned base, const char *digits)
{
    char text[24];
    size_t at = sizeof(text);
    const char *prefix = negative ? "-" : s->alternate && base == 16 && value ? "0x" : "";

    for (; value; value /= base)
        text[--at] = digits[value % base];
    int least = s->precision < 0 ? 1 : s->precision > 20 ? 20 : s->precision;
    while ((int)(sizeof(text) - at) < least)
        text[--at] = '0';
    put_field(o, s, prefix, text + at, sizeof(text) - at);
}

static const char *parse_count(const char *f, va_list *args, int *out)
{
    if (*f == '*') {
        *out = va_arg(*args, int);
        return f + 1;
    }
    *out = 0;
    for (; *f >= '0' && *f <= '9'; f++)
        *out = *out * 10 + (*f - '0');
    return f;
}

static const char *parse_spec(const char *f, struct spec *s, va_list *args)
{
    *s = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '0')
            s->zeros = true;
        else if (*f == '#')
            s->alternate = true;
        else
            break;
    }
    f = parse_count(f, args, &s->width);
    if (*f == '.')
        f = parse_count(f + 1, args, &s->precision);
    for (;; f++) {
        if (*f == 'l')
            s->length++;
        else if (*f == 'h')
            s->length--;
        else if (*f == 'z' || *f == 'j' || *f == 't')
            s->length = 1;
        else
            return f;
    }
}

static int64_t signed_argument(int length, va_list *args)
{
    if (length > 0)
        return va_arg(*args, long);
    int value = va_arg(*args, int);
    return length == 0 ? value : length == -1 ? (short)value : (signed char)value;
}

static uint64_t unsigned_argument(int length, va_list *args)
{
    if (length > 0)
        return va_arg(*args, unsigned long);
    unsigned value = va_arg(*args, unsigned);
    return length == 0 ? value : length == -1 ? (unsigned short)value : (unsigned char)value;
}

static void put_string(struct output *o, const struct spec *s, const char *text)
{
    size_t count = 0;

    if (!text)
        text = "(null)";
    while ((s->precision < 0 || count < (size_t)s->precision) && text[count])
        count++;
    put_field(o, s, "", text, count);
}

static void put_conversion(struct output *o, struct spec *s, char conversion, va_list *args)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

    switch (conversion) {
    case 'd':
    case 'i': {
        int64_t value = signed_argument(s->length, args);
        put_number(o, s, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, lower);
        break;
    }
    case 'u':
        put_number(o, s, unsigned_argument(s->length, args), false, 10, lower);
        break;
    case 'x':
        put_number(o, s, unsigned_argument(s->length, args), false, 16, lower);
        break;
    case 'X':
        put_number(o, s, unsigned_argument(s->length, args), false, 16, upper);
        break;
    case 'p':
        s->alternate = true;
        put_number(o, s, (uintptr_t)va_arg(*args, void *), false, 16, lower);
        break;
    case 's':
        put_string(o, s, va_arg(*args, const char *));
        break;
    case 'c': {
        char c = (char)va_arg(*args, int);
        put_field(o, s, "", &c, 1);
        break;
    }
    default: /* %% and what nobody knows */
        put(o, conversion);
    }
}

int kvsnprintf(char *out, size_t bytes, const char *format, va_list args)
{
    struct output o = {.text = out, .bytes = bytes};
    va_list list;

    va_copy(list, args);
    for (const char *f = format; *f; f++) {
        struct spec s;

        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        f = parse_spec(f + 1, &s, &list);
        if (!*f)
            break;
        put_conversion(&o, &s, *f, &list);
    }
    va_end(list);
    if (bytes)
        out[o.length < bytes ? o.length : bytes - 1] = 0;
    return (int)o.length;
}

int ksnprintf(char *out, size_t bytes, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int length = kvsnprintf(out, bytes, format, args);
    va_end(args);
    return length;
}
