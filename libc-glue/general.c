/*
 * String functions in general registers only, for the kernel and its event handlers
 * (kernel/general.h, which gives them the standard names there). Short strings, seldom: they are
 * small instead of fast.
 */
#include <stddef.h>

#pragma GCC target("general-regs-only")

size_t general_strlen(const char *s);
void *general_memchr(const void *s, int c, size_t bytes);
int general_memcmp(const void *a, const void *b, size_t bytes);
char *general_strchr(const char *s, int c);

/* The volatile byte: not a loop that the compiler makes a call of strlen of. */
size_t general_strlen(const char *s)
{
    const volatile char *end = s;

    while (*end)
        end++;
    return (size_t)(end - s);
}

void *general_memchr(const void *s, int c, size_t bytes)
{
    for (const char *at = s; bytes; at++, bytes--)
        if (*at == (char)c)
            return (void *)at;
    return NULL;
}

int general_memcmp(const void *a, const void *b, size_t bytes)
{
    for (const unsigned char *x = a, *y = b; bytes; x++, y++, bytes--)
        if (*x != *y)
            return *x - *y;
    return 0;
}

char *general_strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}
