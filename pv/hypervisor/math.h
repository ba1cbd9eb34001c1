/* 128-bit products and quotients, without the compiler's library. */
#ifndef HYPERVISOR_MATH_H
#define HYPERVISOR_MATH_H

#include <stdint.h>

/* a * b / c with a 128-bit product; the quotient must fit 64 bits (a or b at most c). */
static inline uint64_t multiply_divide(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t high;

    __asm__("mulq %2\n\tdivq %3" : "+a"(a), "=&d"(high) : "r"(b), "r"(c) : "cc");
    return a;
}

/* a * b / 2^32, as the PV clock asks for. */
static inline uint64_t multiply_shift32(uint64_t a, uint32_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 32);
}

/* a * b / 2^64. */
static inline uint64_t multiply_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* a * 2^64 / b; a must be less than b. */
static inline uint64_t divide_2_64(uint64_t a, uint64_t b)
{
    uint64_t low = 0;

    __asm__("divq %2" : "+a"(low), "+d"(a) : "r"(b) : "cc");
    return low;
}

#endif
