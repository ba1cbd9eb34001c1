/* libc-glue/compiler.c, compared with the compiler's own functions of the same names. */
#include <complex.h>
#include <stdio.h>
#include <stdlib.h>

#define __udivmodti4 our_udivmodti4
#define __umodti3 our_umodti3
#define __fixunsxfdi our_fixunsxfdi
#define __floattixf our_floattixf
#define __floatuntixf our_floatuntixf
#define __mulsc3 our_mulsc3
#define __divsc3 our_divsc3
#define __mulxc3 our_mulxc3
#define __divxc3 our_divxc3
#include "libc-glue/compiler.c"

#define ROUNDS 100000

static unsigned wrong;

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition) && wrong++ < 10)                                                          \
            printf(__VA_ARGS__);                                                                   \
    } while (0)

/* Any number of bits, and often all of them the same. */
static u128 random_integer(void)
{
    u128 value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 16 ^ (u128)(random() & 0xffff);
    value >>= random() % 128;
    return random() % 4 ? value : ~value;
}

static void integers(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        u128 a = random_integer(), b = random_integer(), rest;

        if (b == 0)
            continue;
        EXPECT(our_udivmodti4(a, b, &rest) == a / b && rest == a % b && our_umodti3(a, b) == a % b,
               "128-bit division, round %d\n", i);
        EXPECT(our_floattixf((s128)a) == (long double)(s128)a &&
                   our_floatuntixf(a) == (long double)a &&
                   our_fixunsxfdi((long double)(uint64_t)a) == (uint64_t)a,
               "conversion, round %d\n", i);
    }
}

/* Not so large or small that results overflow, where libgcc's are not the best. */
static long double random_number(void)
{
    static const long double special[] = {0, -0.0L, 1, -1, INFINITY, -INFINITY, NAN};

    if (random() % 4 == 0)
        return special[(size_t)random() % (sizeof(special) / sizeof(*special))];
    int range = random() % 2 ? 30 : 8000;
    return scalbnl((long double)random() / RAND_MAX - 0.5L, (int)(random() % range) - range / 2);
}

/* The same kind of number; finite ones may differ in the last bits of the larger part. */
static bool alike(long double a, long double b, long double size)
{
    if (isnan(a) || isnan(b) || isinf(a) || isinf(b))
        return isnan(a) ? isnan(b) : a == b;
    return fabsl(a - b) <= 16 * (LDBL_EPSILON * size + LDBL_TRUE_MIN);
}

static void compare(const char *name, long double complex got, long double complex expected,
                    const long double *of)
{
    long double real = creall(expected), imaginary = cimagl(expected);
    long double size = fmaxl(fabsl(real), fabsl(imaginary));

    EXPECT(alike(creall(got), real, size) && alike(cimagl(got), imaginary, size),
           "(%La, %La) %s (%La, %La): (%La, %La) instead of (%La, %La)\n", of[0], of[1], name,
           of[2], of[3], creall(got), cimagl(got), real, imaginary);
}

static void complex_numbers(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        long double of[4] = {random_number(), random_number(), random_number(), random_number()};
        long double complex a = __builtin_complex(of[0], of[1]),
                            b = __builtin_complex(of[2], of[3]);

        compare("*", our_mulxc3(of[0], of[1], of[2], of[3]), a * b, of);
        compare("/", our_divxc3(of[0], of[1], of[2], of[3]), a / b, of);
    }
}

int main(void)
{
    integers();
    complex_numbers();
    return wrong != 0;
}
