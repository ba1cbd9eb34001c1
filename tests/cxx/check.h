/*
 * Tests of programs in C++: what the language and its library need of the system below. Compiled
 * for the guest and for Linux alike; Linux is the judge.
 *
 *     TEST(name, "Sentence.") { CHECK(1 + 1 == 2); }
 *
 * A test fails by an exception, which CHECK throws. ENDING(name) is a program of its own, which
 * runs by `cxx --end name`.
 */
#ifndef TESTS_CXX_CHECK_H
#define TESTS_CXX_CHECK_H

#include <stdexcept>
#include <string>

struct test {
    const char *id;
    void (*run)();
    bool is_ending;
    const test *next;

    test(const char *name, void (*function)(), bool ends);
};

#define TEST(name, sentence)                                                                       \
    static void run_##name();                                                                      \
    static const test test_##name(#name, run_##name, false);                                       \
    static void run_##name()

#define ENDING(name)                                                                               \
    static void end_##name();                                                                      \
    static const test ending_##name(#name, end_##name, true);                                      \
    static void end_##name()

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        if (!(__VA_ARGS__))                                                                        \
            throw std::logic_error(std::string(__FILE__ ":") + std::to_string(__LINE__) +          \
                                   ": " #__VA_ARGS__);                                             \
    } while (0)

/* Whether it throws exactly this type. */
#define THROWS(type, ...)                                                                          \
    ([&] {                                                                                         \
        try {                                                                                      \
            __VA_ARGS__;                                                                           \
        } catch (const type &) {                                                                   \
            return true;                                                                           \
        }                                                                                          \
        return false;                                                                              \
    }())

#endif
