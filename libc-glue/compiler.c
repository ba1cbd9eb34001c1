/*
 * Functions that gcc calls for operations that have no instruction: those of libgcc that were
 * compiled to use a red zone below the stack pointer, which a guest has not got (on Xen, events are
 * delivered right there). The others of libgcc serve as they are. Left out, and hence refused by
 * the check of linked guests: quadruple precision, decimal numbers.
 *
 * Called by compiled code anywhere; the linker drops what nobody uses.
 * Sources: "GCC internals", The GCC low-level runtime library; ISO C, annex G.5.1 (infinities and
 * NaN); M. Baudin and R. L. Smith, "A Robust Complex Division in Scilab", 2012.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
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
long double _Complex __mulxc3(long double a, long double b, long double c, long double d);
long double _Complex __divxc3(long double a, long double b, long double c, long double d);

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

/* Of the parts of an infinite number, what is infinite counts as 1 and the rest as 0. */
static void box_infinity(long double *real, long double *imaginary)
{
    *real = copysignl(isinf(*real) ? 1 : 0, *real);
    *imaginary = copysignl(isinf(*imaginary) ? 1 : 0, *imaginary);
}

static void zero_if_nan(long double *value)
{
    if (isnan(*value))
        *value = copysignl(0, *value);
}

long double _Complex __mulxc3(long double a, long double b, long double c, long double d)
{
    long double ac = a * c, bd = b * d, ad = a * d, bc = b * c;
    long double real = ac - bd, imaginary = ad + bc;
    bool infinite = false;

    if (!isnan(real) || !isnan(imaginary))
        return __builtin_complex(real, imaginary);
    if (isinf(a) || isinf(b)) {
        box_infinity(&a, &b);
        zero_if_nan(&c);
        zero_if_nan(&d);
        infinite = true;
    }
    if (isinf(c) || isinf(d)) {
        box_infinity(&c, &d);
        zero_if_nan(&a);
        zero_if_nan(&b);
        infinite = true;
    }
    if (!infinite && (isinf(ac) || isinf(bd) || isinf(ad) || isinf(bc))) { /* it was an overflow */
        zero_if_nan(&a);
        zero_if_nan(&b);
        zero_if_nan(&c);
        zero_if_nan(&d);
        infinite = true;
    }
    if (infinite) {
        real = (long double)INFINITY * (a * c - b * d);
        imaginary = (long double)INFINITY * (a * d + b * c);
    }
    return __builtin_complex(real, imaginary);
}

/* (a + b r) / (c + d r), where r = d / c, |r| <= 1; if r has lost its bits, d * (b / c) has not. */
static long double quotient_part(long double a, long double b, long double c, long double d)
{
    long double r = d / c;
    long double br = fabsl(r) >= LDBL_MIN || d == 0 ? b * r : d * (b / c);

    return (a + br) / (c + d * r);
}

/* The factor by which numbers of this size are multiplied so that sums do not overflow and products
 * keep their bits. */
static long double scale_for(long double a, long double b)
{
    long double size = fabsl(a) > fabsl(b) ? fabsl(a) : fabsl(b);

    if (size >= LDBL_MAX / 2)
        return 0.5L;
    return size <= LDBL_MIN * 2 / LDBL_EPSILON ? 2 / (LDBL_EPSILON * LDBL_EPSILON) : 1;
}

long double _Complex __divxc3(long double a, long double b, long double c, long double d)
{
    long double above = scale_for(a, b), below = scale_for(c, d), scale = below / above;
    long double as = a * above, bs = b * above, cs = c * below, ds = d * below;
    long double real, imaginary;

    if (fabsl(cs) >= fabsl(ds)) {
        real = quotient_part(as, bs, cs, ds) * scale;
        imaginary = quotient_part(bs, -as, cs, ds) * scale;
    } else { /* the same of both times -i */
        real = quotient_part(bs, as, ds, cs) * scale;
        imaginary = quotient_part(-as, bs, ds, cs) * scale;
    }
    if (!isnan(real) || !isnan(imaginary))
        return __builtin_complex(real, imaginary);
    if (c == 0 && d == 0 && (!isnan(a) || !isnan(b))) {
        real = copysignl(INFINITY, c) * a;
        imaginary = copysignl(INFINITY, c) * b;
    } else if ((isinf(a) || isinf(b)) && isfinite(c) && isfinite(d)) {
        box_infinity(&a, &b);
        real = (long double)INFINITY * (a * c + b * d);
        imaginary = (long double)INFINITY * (b * c - a * d);
    } else if ((isinf(c) || isinf(d)) && isfinite(a) && isfinite(b)) {
        box_infinity(&c, &d);
        real = 0.0L * (a * c + b * d);
        imaginary = 0.0L * (b * c - a * d);
    }
    return __builtin_complex(real, imaginary);
}
