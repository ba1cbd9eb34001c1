/*
 * Runs the tests of the POSIX interface, in the guest and on Linux.
 *
 * usage: posix [PREFIX...]        (all tests, or those whose id begins with a PREFIX)
 *
 * The lines that it prints: tests/framework.py.
 */
#include "tests/posix/check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 4096 /* no test needs more at its end */

static struct test *first, **last = &first;
static atomic_bool failed;
static char failure[512];

void test_register(struct test *test)
{
    *last = test;
    last = &test->next;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    if (atomic_exchange(&failed, true))
        return;
    int used = snprintf(failure, sizeof(failure), "%s:%d: ", file, line);
    va_start(args, format);
    vsnprintf(failure + used, sizeof(failure) - (size_t)used, format, args);
    va_end(args);
}

bool test_has_failed(void)
{
    return atomic_load(&failed);
}

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* The descriptors that are open: no test may leave one behind. */
static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < MAX_FDS; fd++)
        if (dup2(fd, fd) == fd)
            count++;
    return count;
}

static bool is_wanted(const struct test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(test->id, argv[i], strlen(argv[i])) == 0)
            return true;
    return argc <= 1;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failures = 0;

    signal(SIGPIPE, SIG_IGN);
    for (int fd = 3; fd < MAX_FDS; fd++) /* what a shell may have left open */
        close(fd);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (struct test *test = first; test != NULL; test = test->next) {
        if (!is_wanted(test, argc, argv))
            continue;
        printf("test: %s ...\n", test->id);
        atomic_store(&failed, false);
        int before = count_open();
        test->run();
        if (count_open() != before)
            FAIL("%d descriptors open before, %d after", before, count_open());
        if (test_has_failed()) {
            printf("test: %s ... FAILED %s\n", test->id, failure);
            failures++;
        } else {
            printf("test: %s ... ok\n", test->id);
            passed++;
        }
    }
    printf("tests: %u passed, %u failed, 0 skipped\n", passed, failures);
    return failures != 0 || passed == 0;
}
