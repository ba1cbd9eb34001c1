/* What the compiler may call for copies and fills. Ring 0. */
#include <stddef.h>

/* By words: an emulated or interpreted CPU takes as long for a byte as for eight. */
void *memcpy(void *to, const void *from, size_t bytes)
{
    void *at = to;
    size_t words = bytes / 8;

    bytes %= 8;
    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *at = to;
    size_t words = bytes / 8;
    unsigned long pattern = 0x0101010101010101ul * (unsigned char)value;

    bytes %= 8;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *x = a, *y = b;

    for (; bytes; bytes--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}
