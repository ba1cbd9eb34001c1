/*
 * Tests of the POSIX interface, as programs see it: plain C that is compiled for the guest and for
 * Linux alike. Linux is the judge: what fails there is a wrong expectation.
 *
 *     TEST(fd_lowest, "A new descriptor is the lowest free one.")
 *     {
 *         REQUIRE((fd = dup(1)) >= 0);
 *         CHECK_FAILS(close(fd + 1), EBADF);
 *     }
 *
 * CHECK... note a failure and go on, REQUIRE... return from the function, which returns void. Any
 * thread may use them. The first failure of a test is reported.
 */
#ifndef TESTS_POSIX_CHECK_H
#define TESTS_POSIX_CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct test {
    const char *id, *sentence;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);

#define TEST(name, text)                                                                           \
    static void run_##name(void);                                                                  \
    static void __attribute__((constructor)) register_##name(void)                                 \
    {                                                                                              \
        static struct test test = {.id = #name, .sentence = text, .run = run_##name};              \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void run_##name(void)

void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool test_has_failed(void);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Each is an expression: whether it held. */
#define CHECK(condition)                                                                           \
    ({                                                                                             \
        const bool held_ = (condition);                                                            \
        if (!held_)                                                                                \
            FAIL("%s (errno: %s)", #condition, strerror(errno));                                   \
        held_;                                                                                     \
    })
#define CHECK_COMPARED(a, operator, b)                                                             \
    ({                                                                                             \
        const int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                        \
        const bool held_ = a_ operator b_;                                                         \
        if (!held_)                                                                                \
            FAIL("%s %s %s: %lld, %lld (errno: %s)", #a, #operator, #b, (long long)a_,             \
                 (long long)b_, strerror(errno));                                                  \
        held_;                                                                                     \
    })
#define CHECK_EQ(a, b) CHECK_COMPARED(a, ==, b)
#define CHECK_NE(a, b) CHECK_COMPARED(a, !=, b)
#define CHECK_LT(a, b) CHECK_COMPARED(a, <, b)
#define CHECK_GE(a, b) CHECK_COMPARED(a, >=, b)
#define CHECK_OK(call) CHECK_EQ(call, 0)
/* The call returns -1 and sets errno so. */
#define CHECK_FAILS(call, error)                                                                   \
    ({                                                                                             \
        errno = 0;                                                                                 \
        const int64_t result_ = (int64_t)(call);                                                   \
        const int errno_ = errno;                                                                  \
        const bool held_ = result_ == -1 && errno_ == (error);                                     \
        if (!held_)                                                                                \
            FAIL("%s: %lld (%s) instead of " #error, #call, (long long)result_,                    \
                 result_ == -1 ? strerror(errno_) : "no error");                                   \
        held_;                                                                                     \
    })

#define RETURN_UNLESS(held)                                                                        \
    do {                                                                                           \
        if (!(held))                                                                               \
            return;                                                                                \
    } while (0)
#define REQUIRE(condition) RETURN_UNLESS(CHECK(condition))
#define REQUIRE_EQ(a, b) RETURN_UNLESS(CHECK_EQ(a, b))
#define REQUIRE_GE(a, b) RETURN_UNLESS(CHECK_GE(a, b))
#define REQUIRE_OK(call) RETURN_UNLESS(CHECK_OK(call))

/* --- Small change --------------------------------------------------------------------------- */

uint64_t now_ms(void); /* CLOCK_MONOTONIC */
void sleep_ms(unsigned ms);

/* Threads that end by returning. */
struct worker;
struct worker *worker_start(void *(*fn)(void *), void *argument); /* never NULL */
void *worker_join(struct worker *worker);

#endif
