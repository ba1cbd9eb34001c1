/*
 * Runs tests of libstdc++'s own test suite, which were linked into this program
 * (tests/host/libstdcxx.py), from the one with the number argv[1] on. A test fails by abort(), as
 * its VERIFY does, by an exception, or by a result other than 0.
 */
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <locale>
#include <new>
#include <pthread.h>
#include <unistd.h>

struct suite_test {
    const char *id;
    int (*run)();
};
extern const suite_test suite_tests[];
extern const int nr_suite_tests;

static pthread_t runner;
static std::jmp_buf failure;
static bool has_failed;

/* In place of abort(), for every caller but the runner itself (the linker's --wrap). */
extern "C" [[noreturn]] void __wrap_abort()
{
    has_failed = true;
    if (pthread_equal(pthread_self(), runner))
        std::longjmp(failure, 1);
    pthread_exit(nullptr);
}

static bool passes(const suite_test &t)
{
    has_failed = false;
    if (setjmp(failure) != 0)
        return false;
    try {
        return t.run() == 0 && !has_failed;
    } catch (const std::exception &error) {
        dprintf(STDOUT_FILENO, "exception: %s\n", error.what());
    } catch (...) {
        dprintf(STDOUT_FILENO, "exception\n");
    }
    return false;
}

/* What tests leave changed. */
static void reset(std::streambuf *out, std::streambuf *error)
{
    std::set_new_handler(nullptr);
    std::locale::global(std::locale::classic());
    std::cout.rdbuf(out);
    std::cerr.rdbuf(error);
    std::cout.clear();
    std::cerr.clear();
}

int main(int argc, char **argv)
{
    std::streambuf *out = std::cout.rdbuf(), *error = std::cerr.rdbuf();
    int passed = 0, failed = 0;

    runner = pthread_self();
    std::filesystem::copy("/data", "/tmp/data");
    std::filesystem::current_path("/tmp/data");
    for (int i = argc > 1 ? std::atoi(argv[1]) : 0; i < nr_suite_tests; i++) {
        const suite_test &t = suite_tests[i];

        dprintf(STDOUT_FILENO, "test: %s ...\n", t.id);
        bool passes_it = passes(t);
        reset(out, error);
        passes_it ? passed++ : failed++;
        dprintf(STDOUT_FILENO, "test: %s ... %s\n", t.id, passes_it ? "ok" : "FAILED");
    }
    dprintf(STDOUT_FILENO, "tests: %d passed, %d failed, 0 skipped\n", passed, failed);
    _exit(failed != 0);
}
