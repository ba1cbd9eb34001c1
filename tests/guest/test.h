/*
 * In-guest tests: how one is declared, and what it says about what it sees.
 *
 *     TEST(sleep_order, "Sleepers wake in the order of their deadlines.")
 *     {
 *         REQUIRE_OK(thread_create(&t, NULL, sleeper, NULL));
 *         CHECK_EQ(first, 1);
 *     }
 *
 * A test is added by writing it: the macro registers it before main runs. TEST_WHERE names a
 * function that returns why the test cannot run here, or NULL; such a test counts as skipped.
 *
 * CHECK... note a failure and go on, REQUIRE... note it and return from the function (which returns
 * void). Both may be used in any thread, CHECK... also in event context. The first failure of a
 * test is the one reported, with file, line and values.
 *
 * No test depends on how fast anything is: hosts may be slow, busy, or counting instructions.
 */
#ifndef TESTS_GUEST_TEST_H
#define TESTS_GUEST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/fault.h"

struct test {
    const char *id;
    const char *sentence;
    const char *(*missing)(void); /* why not here, or NULL; NULL: runs everywhere */
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);

#define TEST(name, text) TEST_WHERE(name, text, NULL)
#define TEST_WHERE(name, text, why_not)                                                            \
    static void run_##name(void);                                                                  \
    static void __attribute__((constructor)) register_##name(void)                                 \
    {                                                                                              \
        static struct test test = {                                                                \
            .id = #name, .sentence = text, .missing = why_not, .run = run_##name};                 \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void run_##name(void)

/* An image's main: runs them. */
int test_main(int argc, char **argv);

/* Notes a failure of the running test. */
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Each is an expression: whether it held. */
#define CHECK(condition)                                                                           \
    ({                                                                                             \
        const bool held_ = (condition);                                                            \
        if (!held_)                                                                                \
            FAIL("%s", #condition);                                                                \
        held_;                                                                                     \
    })
#define CHECK_COMPARED(a, operator, b)                                                             \
    ({                                                                                             \
        const int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                        \
        const bool held_ = a_ operator b_;                                                         \
        if (!held_)                                                                                \
            FAIL("%s %s %s: %lld (0x%llx), %lld (0x%llx)", #a, #operator, #b, (long long)a_,       \
                 (unsigned long long)a_, (long long)b_, (unsigned long long)b_);                   \
        held_;                                                                                     \
    })
#define CHECK_EQ(a, b) CHECK_COMPARED(a, ==, b)
#define CHECK_NE(a, b) CHECK_COMPARED(a, !=, b)
#define CHECK_LT(a, b) CHECK_COMPARED(a, <, b)
#define CHECK_GE(a, b) CHECK_COMPARED(a, >=, b)
#define CHECK_OK(call) CHECK_EQ(call, 0)

#define RETURN_UNLESS(held)                                                                        \
    do {                                                                                           \
        if (!(held))                                                                               \
            return;                                                                                \
    } while (0)
#define REQUIRE(condition) RETURN_UNLESS(CHECK(condition))
#define REQUIRE_EQ(a, b) RETURN_UNLESS(CHECK_EQ(a, b))
#define REQUIRE_OK(call) RETURN_UNLESS(CHECK_OK(call))

/* Whether the running test has failed already: for loops that would fail a thousand times more. */
bool test_has_failed(void);

/* --- Expected faults ------------------------------------------------------------------------ */

/* Bits of a page fault's error code. Xen hides the user bit from guest kernels, so it is not among
 * them (xen.h, "page-fault error code"). */
#define PF_PRESENT 0x01
#define PF_WRITE 0x02
#define PF_FETCH 0x10
#define PF_BITS (PF_PRESENT | PF_WRITE | PF_FETCH)

bool test_faults(const char *file, int line, void (*fn)(void *), void *arg, unsigned vector,
                 struct fault *out);
bool test_page_faults(const char *file, int line, void (*fn)(void *), void *arg, unsigned bits,
                      const volatile void *address);

/* fn(arg) must raise exception `vector`. */
#define CHECK_FAULT(fn, arg, vector) test_faults(__FILE__, __LINE__, fn, arg, vector, NULL)
/* fn(arg) must raise a page fault with these of PF_BITS, at this address. */
#define CHECK_PAGE_FAULT(fn, arg, bits, address)                                                   \
    test_page_faults(__FILE__, __LINE__, fn, arg, bits, address)

/* What such an fn does most often; arg is the address. */
void access_read(void *address);  /* one byte */
void access_write(void *address); /* one byte, with 0 */
void access_call(void *address);

/* --- Where this runs ------------------------------------------------------------------------ */

bool host_is_xen(void);    /* the real one */
bool host_is_parvus(void); /* our hypervisor */
/* A KVM that keeps ring 3 out of the upper half of the address space and SYSCALL out of ring 0. */
bool host_deprivileges(void);

/* For TEST_WHERE. */
const char *needs_parvus(void);
const char *needs_syscall_into_ring0(void);
const char *needs_upper_half(void);

/* `count`, or less of it where the command line says env.TEST_SLOW=DIVISOR. */
uint64_t scaled(uint64_t count);

/* --- Small change --------------------------------------------------------------------------- */

/* Repeatable numbers: the same on every host, for the same seed. */
struct random {
    uint64_t state;
};
#define RANDOM(seed)                                                                               \
    {                                                                                              \
        (seed)                                                                                     \
    }
uint32_t random_next(struct random *r);
uint32_t random_below(struct random *r, uint32_t limit);

uint64_t ms_from_now(uint64_t ms); /* a clock_monotonic_ns() deadline */
void sleep_ms(uint64_t ms);
/* Lets all other threads run until each of them waits for something, or has ended. */
void settle(void);
uint64_t free_pages(void);

#endif
