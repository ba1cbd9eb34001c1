/*
 * String functions that newlib has by the byte, or as if all were aligned: here by 8 and by 16
 * bytes. A block of 16 that is aligned lies in one page, so that what follows a string may be read
 * with it.
 *
 * For applications, the C library and this glue: they use SSE. What may run in an event handler
 * uses the general registers only and gets the functions general_* instead (kernel/general.h).
 */
#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *general_memmove(void *to, const void *from, size_t bytes); /* memory.S */

/* They call nothing; and the compiler must not make a call of strlen of a loop in strlen. */
#pragma GCC optimize("omit-frame-pointer", "no-tree-loop-distribute-patterns")

#define BLOCK sizeof(__m128i)
#define REP_BYTES 256 /* as in memory.S */
#define REP_UNALIGNED_BYTES 1024

typedef uint64_t __attribute__((may_alias, aligned(1))) anywhere64;
typedef uint32_t __attribute__((may_alias, aligned(1))) anywhere32;
typedef uint16_t __attribute__((may_alias, aligned(1))) anywhere16;

static inline uint64_t get64(const void *at)
{
    return *(const anywhere64 *)at;
}

static inline uint32_t get32(const void *at)
{
    return *(const anywhere32 *)at;
}

static inline __m128i get(const void *at)
{
    return _mm_loadu_si128(at);
}

static inline void put(void *at, __m128i block)
{
    _mm_storeu_si128(at, block);
}

/* --- Copies: all of an end is loaded before anything is stored there -------------------------- */

static inline void *copy_small(char *to, const char *from, size_t bytes)
{
    if (bytes >= 8) {
        uint64_t first = get64(from), last = get64(from + bytes - 8);

        *(anywhere64 *)to = first;
        *(anywhere64 *)(to + bytes - 8) = last;
    } else if (bytes >= 4) {
        uint32_t first = get32(from), last = get32(from + bytes - 4);

        *(anywhere32 *)to = first;
        *(anywhere32 *)(to + bytes - 4) = last;
    } else if (bytes) {
        char first = *from;

        if (bytes > 1)
            *(anywhere16 *)(to + bytes - 2) = *(const anywhere16 *)(from + bytes - 2);
        *to = first;
    }
    return to;
}

/* More than 2 and up to 4 blocks. */
static inline void *copy_four(char *to, const char *from, size_t bytes)
{
    __m128i a = get(from), b = get(from + BLOCK);
    __m128i y = get(from + bytes - 2 * BLOCK), z = get(from + bytes - BLOCK);

    put(to, a);
    put(to + BLOCK, b);
    put(to + bytes - 2 * BLOCK, y);
    put(to + bytes - BLOCK, z);
    return to;
}

static inline void copy_turn(char *to, const char *from)
{
    __m128i a = get(from), b = get(from + BLOCK), c = get(from + 2 * BLOCK),
            d = get(from + 3 * BLOCK);

    put(to, a);
    put(to + BLOCK, b);
    put(to + 2 * BLOCK, c);
    put(to + 3 * BLOCK, d);
}

/* More than 4 blocks; the end that a turn might overwrite is loaded first and stored last. */
static inline void *copy_large(char *to, const char *from, size_t bytes)
{
    bool is_backward = (uintptr_t)to - (uintptr_t)from < bytes;
    size_t end = is_backward ? 0 : bytes - 4 * BLOCK;
    __m128i a = get(from + end), b = get(from + end + BLOCK);
    __m128i c = get(from + end + 2 * BLOCK), d = get(from + end + 3 * BLOCK);

    if (is_backward)
        for (size_t at = bytes; at > 4 * BLOCK; at -= 4 * BLOCK)
            copy_turn(to + at - 4 * BLOCK, from + at - 4 * BLOCK);
    else
        for (size_t at = 0; at < end; at += 4 * BLOCK)
            copy_turn(to + at, from + at);
    put(to + end, a);
    put(to + end + BLOCK, b);
    put(to + end + 2 * BLOCK, c);
    put(to + end + 3 * BLOCK, d);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if (bytes < BLOCK)
        return copy_small(to, from, bytes);
    if (bytes <= 2 * BLOCK) {
        __m128i first = get(from), last = get((const char *)from + bytes - BLOCK);

        put(to, first);
        put((char *)to + bytes - BLOCK, last);
        return to;
    }
    if (bytes <= 4 * BLOCK)
        return copy_four(to, from, bytes);
    uintptr_t distance = (uintptr_t)to - (uintptr_t)from;

    if (distance < bytes || bytes < (distance % 8 ? REP_UNALIGNED_BYTES : REP_BYTES))
        return copy_large(to, from, bytes);
    return general_memmove(to, from, bytes);
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
    __attribute__((alias("memmove")));

/* --- Searches --------------------------------------------------------------------------------- */

/* Bit i: byte i of the aligned block is that, or one of those. */
static inline unsigned equal(const __m128i *block, __m128i byte)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(*block, byte));
}

static inline unsigned equal_either(const __m128i *block, __m128i a, __m128i b)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(*block, a) | _mm_cmpeq_epi8(*block, b));
}

static inline unsigned equal_any(const __m128i *block, __m128i a, __m128i b, __m128i c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(*block, a) | _mm_cmpeq_epi8(*block, b) |
                                       _mm_cmpeq_epi8(*block, c));
}

static inline const __m128i *block_of(const void *at)
{
    return (const __m128i *)((uintptr_t)at & -BLOCK);
}

/* Of a block's bits, those from `at` on. */
static inline unsigned from_there(unsigned bits, const void *at)
{
    unsigned skipped = (uintptr_t)at % BLOCK;

    return bits >> skipped << skipped;
}

size_t strlen(const char *s)
{
    const __m128i *block = block_of(s), zero = _mm_setzero_si128();
    unsigned found = from_there(equal(block, zero), s);

    while (!found)
        found = equal(++block, zero);
    return (size_t)((const char *)block + __builtin_ctz(found) - s);
}

void *memchr(const void *s, int c, size_t bytes)
{
    const __m128i *block = block_of(s), byte = _mm_set1_epi8((char)c);
    const char *at = s;

    if (bytes == 0)
        return NULL;
    unsigned found = from_there(equal(block, byte), s);
    /* What is left after this block. */
    size_t done = BLOCK - (uintptr_t)s % BLOCK;

    while (!found) {
        if (bytes <= done)
            return NULL;
        bytes -= done;
        at += done;
        done = BLOCK;
        found = equal(++block, byte);
    }
    const char *there = (const char *)block + __builtin_ctz(found);

    return (size_t)(there - at) < bytes ? (void *)there : NULL;
}

char *strchr(const char *s, int c)
{
    const __m128i *block = block_of(s), byte = _mm_set1_epi8((char)c), zero = _mm_setzero_si128();
    unsigned found = from_there(equal_either(block, byte, zero), s);

    while (!found)
        found = equal_either(++block, byte, zero);
    const char *there = (const char *)block + __builtin_ctz(found);

    return *there == (char)c ? (char *)there : NULL;
}

/* Any set of bytes, by a table of bits. */
static __attribute__((noinline)) size_t span_of_many(const char *s, const char *reject)
{
    uint64_t set[4] = {1};
    const unsigned char *at = (const unsigned char *)s;

    for (const unsigned char *c = (const unsigned char *)reject; *c; c++)
        set[*c / 64] |= UINT64_C(1) << *c % 64;
    while (!(set[*at / 64] >> *at % 64 & 1))
        at++;
    return (size_t)(at - (const unsigned char *)s);
}

size_t strcspn(const char *s, const char *reject)
{
    if (!reject[0])
        return strlen(s);
    if (reject[1] && reject[2])
        return span_of_many(s, reject);
    const __m128i *block = block_of(s), zero = _mm_setzero_si128();
    __m128i a = _mm_set1_epi8(reject[0]), b = _mm_set1_epi8(reject[1]);
    unsigned found = from_there(equal_any(block, a, b, zero), s);

    while (!found)
        found = equal_any(++block, a, b, zero);
    return (size_t)((const char *)block + __builtin_ctz(found) - s);
}

/* --- Comparisons ------------------------------------------------------------------------------ */

static inline unsigned differ(const void *a, const void *b)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(get(a), get(b))) ^ 0xffff;
}

static inline int order(const unsigned char *a, const unsigned char *b, unsigned different)
{
    unsigned at = (unsigned)__builtin_ctz(different);

    return a[at] - b[at];
}

/* Less than a block. Of two words as memory has them, the first byte that differs decides. */
static inline int compare_small(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    uint64_t x, y;

    if (bytes >= 8) {
        x = get64(a);
        y = get64(b);
        if (x == y) {
            x = get64(a + bytes - 8);
            y = get64(b + bytes - 8);
        }
    } else if (bytes >= 4) {
        x = get32(a) | (uint64_t)get32(a + bytes - 4) << 32;
        y = get32(b) | (uint64_t)get32(b + bytes - 4) << 32;
    } else {
        for (size_t i = 0; i < bytes; i++)
            if (a[i] != b[i])
                return a[i] - b[i];
        return 0;
    }
    if (x == y)
        return 0;
    return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *x = a, *y = b;
    unsigned different;

    if (bytes < BLOCK)
        return compare_small(x, y, bytes);
    for (; bytes > BLOCK; bytes -= BLOCK, x += BLOCK, y += BLOCK) {
        different = differ(x, y);
        if (different)
            return order(x, y, different);
    }
    x += bytes - BLOCK; /* the last ones, some of them again */
    y += bytes - BLOCK;
    different = differ(x, y);
    return different ? order(x, y, different) : 0;
}
