/*
 * Functions that gcc calls for operations that have no instruction: those of libgcc that were
 * compiled to use a red zone below the stack pointer, which a guest has not got (on Xen, events are
 * delivered right there). The others of libgcc serve as they are. Left out, and hence refused by
 * the check of linked guests: complex long double, quadruple precision, decimal numbers.
 *
 * Called by compiled code anywhere; the linker drops what nobody uses.
 * Source: "GCC internals", The GCC low-level runtime library.
 */
#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 u128;
typedef __int128 s128;

u128 __udivmodti4(u128 dividend, u128 divisor, u128 *remainder);
u128 __umodti3(u128 dividend, u128 divisor);
uint64_t __fixunsxfdi(long double value);
long double __floattixf(s128 value);
long double __floatuntixf(u128 value);
float _Complex __mulsc3(float a, float b, float c, float d);
float _Complex __divsc3(float a, float b, float c, float d);

/* high:low / divisor, where high < divisor. */
static uint64_t divide(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder)
{
    uint64_t quotient;

    __asm__("divq %[divisor]"
            : "=a"(quotient), "=d"(*remainder)
            : "a"(low), "d"(high), [divisor] "r"(divisor)
            : "cc");
    return quotient;
}

/* A divisor of two digits: the quotient has one. Estimated from the divisor's 64 leading bits, it
 * is at most one too large (H. S. Warren, "Hacker's Delight", 9-5). */
static uint64_t divide_long(u128 dividend, u128 divisor, u128 *remainder)
{
    int shift = __builtin_clzll((uint64_t)(divisor >> 64));
    uint64_t leading = (uint64_t)(divisor << shift >> 64);
    u128 half = dividend >> 1; /* keeps the estimate in 64 bits */
    uint64_t rest;
    uint64_t quotient = divide((uint64_t)(half >> 64), (uint64_t)half, leading, &rest);

    quotient = (uint64_t)((u128)quotient << shift >> 63);
    if (quotient != 0)
        quotient--; /* exact or one too small */
    dividend -= divisor * quotient;
    if (dividend >= divisor) {
        dividend -= divisor;
        quotient++;
    }
    *remainder = dividend;
    return quotient;
}

u128 __udivmodti4(u128 dividend, u128 divisor, u128 *remainder)
{
    uint64_t low, high, rest;
    u128 rest_long, quotient;

    if (divisor >> 64 == 0) { /* long division by one digit; zero traps here, as it should */
        high = divide(0, (uint64_t)(dividend >> 64), (uint64_t)divisor, &rest);
        low = divide(rest, (uint64_t)dividend, (uint64_t)divisor, &rest);
        quotient = (u128)high << 64 | low;
        rest_long = rest;
    } else {
        quotient = divide_long(dividend, divisor, &rest_long);
    }
    if (remainder != NULL)
        *remainder = rest_long;
    return quotient;
}

u128 __umodti3(u128 dividend, u128 divisor)
{
    u128 remainder;

    __udivmodti4(dividend, divisor, &remainder);
    return remainder;
}

uint64_t __fixunsxfdi(long double value)
{
    const long double two63 = 0x1p63L;

    if (value < two63)
        return (uint64_t)(int64_t)value;
    return (uint64_t)(int64_t)(value - two63) ^ UINT64_C(1) << 63;
}

/* Either half is exact in a long double's 64 bits of precision: one rounding. */

long double __floattixf(s128 value)
{
    return (long double)(int64_t)(value >> 64) * 0x1p64L + (long double)(uint64_t)value;
}

long double __floatuntixf(u128 value)
{
    return (long double)(uint64_t)(value >> 64) * 0x1p64L + (long double)(uint64_t)value;
}

/* (a + b i) times and by (c + d i), by way of double, whose functions in libgcc are safe. */

float _Complex __mulsc3(float a, float b, float c, float d)
{
    return (float _Complex)(__builtin_complex((double)a, (double)b) *
                            __builtin_complex((double)c, (double)d));
}

float _Complex __divsc3(float a, float b, float c, float d)
{
    return (float _Complex)(__builtin_complex((double)a, (double)b) /
                            __builtin_complex((double)c, (double)d));
}
