/*
 * Runs the in-guest tests of an image: all of them, or those whose id begins with an argument;
 * `--list` lists them.
 *
 * Console protocol (tests/framework.py): a line when a test begins, one with its result, and the
 * totals at the end. The lines do not go through stdio, which is itself under test.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/console.h"
#include "kernel/format.h"
#include "kernel/thread.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

static struct test *first, **last = &first;
static atomic_bool failed;
static char failure[512];

void test_register(struct test *test)
{
    *last = test;
    last = &test->next;
}

static void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print(const char *format, ...)
{
    char line[768];
    va_list args;

    va_start(args, format);
    size_t bytes = (size_t)kvsnprintf(line, sizeof(line), format, args);
    va_end(args);
    console_write(line, bytes < sizeof(line) ? bytes : sizeof(line) - 1);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    if (atomic_exchange(&failed, true))
        return;
    int used = ksnprintf(failure, sizeof(failure), "%s:%d: ", file, line);
    va_start(args, format);
    kvsnprintf(failure + used, sizeof(failure) - (size_t)used, format, args);
    va_end(args);
}

bool test_has_failed(void)
{
    return atomic_load(&failed);
}

/* What no test may leave behind. */
static void check_aftermath(unsigned threads_before)
{
    if (pv_upcall()->mask) {
        FAIL("events were left masked");
        pv_events_restore(true);
    }
    if (thread_count() != threads_before)
        FAIL("%u threads before, %u after", threads_before, thread_count());
    if (thread_priority(thread_self()) != THREAD_PRIORITY_DEFAULT) {
        FAIL("the main thread was left with priority %d", thread_priority(thread_self()));
        thread_set_priority(thread_self(), THREAD_PRIORITY_DEFAULT);
    }
}

static bool is_wanted(const struct test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(test->id, argv[i], strlen(argv[i])) == 0)
            return true;
    return argc <= 1;
}

static void list(void)
{
    for (const struct test *test = first; test; test = test->next)
        print("%s: %s\n", test->id, test->sentence);
}

static int run_all(int argc, char **argv)
{
    unsigned passed = 0, failures = 0, skipped = 0;

    for (struct test *test = first; test; test = test->next) {
        if (!is_wanted(test, argc, argv))
            continue;

        const char *missing = test->missing ? test->missing() : NULL;
        if (missing) {
            print("test: %s ... skipped: %s\n", test->id, missing);
            skipped++;
            continue;
        }
        unsigned threads = thread_count();
        print("test: %s ...\n", test->id);
        atomic_store(&failed, false);
        test->run();
        check_aftermath(threads);
        if (test_has_failed()) {
            print("test: %s ... FAILED %s\n", test->id, failure);
            failures++;
        } else {
            print("test: %s ... ok\n", test->id);
            passed++;
        }
    }
    if (passed + failures + skipped == 0)
        print("tests: no id begins with any of the arguments\n");
    print("tests: %u passed, %u failed, %u skipped\n", passed, failures, skipped);
    return failures || passed + skipped == 0;
}

int test_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list();
        return EXIT_SUCCESS;
    }
    if (getenv("TEST_SLOW"))
        print("tests: large counts are divided by %s (TEST_SLOW)\n", getenv("TEST_SLOW"));
    return run_all(argc, argv);
}
