/*
 * The C library where threads, time and the environment meet it.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

/* --- Per thread ----------------------------------------------------------------------------- */

static void *own_errno(void *value)
{
    int mine = (int)(intptr_t)value;

    CHECK_EQ(errno, 0);
    errno = mine;
    for (int i = 0; i < 100; i++) {
        thread_yield();
        CHECK_EQ(errno, mine);
    }
    return &errno;
}

TEST(libc_errno, "Each thread has its own errno.")
{
    struct thread *t[3];
    void *where;

    errno = 77;
    for (intptr_t i = 0; i < 3; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, own_errno, (void *)(i + 1)));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(thread_join(t[i], &where));
        CHECK(where != &errno);
    }
    CHECK_EQ(errno, 77);
}

/* A stream into memory, whose writer lets other threads run in the midst. */
static char captured[64 * 1024];
static size_t nr_captured;

static int capture(void *unused, const char *text, size_t bytes)
{
    (void)unused;
    for (size_t i = 0; i < bytes && nr_captured < sizeof(captured); i++) {
        captured[nr_captured++] = text[i];
        if (i % 7 == 0)
            thread_yield();
    }
    return (int)bytes;
}

#define LINES 100
static FILE *shared_stream;

static void *print_lines(void *name)
{
    for (int i = 0; i < LINES; i++)
        if (fprintf(shared_stream, "thread %c says %d, %s and %.3f\n", (int)(intptr_t)name, i,
                    "a few words", i / 8.0) < 0)
            FAIL("fprintf failed");
    return NULL;
}

/* Takes the captured text apart: whole lines only, each thread's in its order. */
static void check_lines(unsigned threads)
{
    int next[8] = {0}, number, used;
    char name, expected[80];

    for (size_t at = 0; at < nr_captured; at += (size_t)used) {
        if (sscanf(captured + at, "thread %c says %d,", &name, &number) != 2 || name < 'a' ||
            name >= 'a' + (int)threads || number != next[name - 'a']++)
            return FAIL("at %zu: %.50s", at, captured + at);
        used = snprintf(expected, sizeof(expected), "thread %c says %d, %s and %.3f\n", name,
                        number, "a few words", number / 8.0);
        if (strncmp(captured + at, expected, (size_t)used) != 0)
            return FAIL("at %zu: %.50s", at, captured + at);
    }
    for (unsigned i = 0; i < threads; i++)
        CHECK_EQ(next[i], LINES);
}

TEST(libc_stdio_threads, "Lines printed to one stream by several threads stay whole.")
{
    static const int modes[] = {_IOFBF, _IOLBF, _IONBF};
    struct thread *t[4];

    for (size_t mode = 0; mode < 3; mode++) {
        shared_stream = funopen(NULL, NULL, capture, NULL, NULL);
        REQUIRE(shared_stream);
        CHECK_OK(setvbuf(shared_stream, NULL, modes[mode], 128));
        memset(captured, 0, sizeof(captured));
        nr_captured = 0;
        for (intptr_t i = 0; i < 4; i++)
            REQUIRE_OK(thread_create(&t[i], NULL, print_lines, (void *)('a' + i)));
        for (int i = 0; i < 4; i++)
            CHECK_OK(thread_join(t[i], NULL));
        CHECK_OK(fclose(shared_stream));
        check_lines(4);
    }
}

static void *use_strtok(void *text)
{
    char *word = strtok(text, ",");
    intptr_t words = 0;

    for (; word; word = strtok(NULL, ",")) {
        CHECK_EQ(strlen(word), 2);
        words++;
        thread_yield();
    }
    return (void *)words;
}

TEST(libc_strtok_threads, "strtok's state is each thread's own.")
{
    char text[3][16] = {"aa,bb,cc,dd", "ee,ff,gg", "hh,ii,jj,kk"};
    static const intptr_t words[] = {4, 3, 4};
    struct thread *t[3];
    void *count;

    for (int i = 0; i < 3; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, use_strtok, text[i]));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(thread_join(t[i], &count));
        CHECK_EQ((intptr_t)count, words[i]);
    }
}

static void *use_stdio(void *unused)
{
    char text[64];
    struct tm tm;
    time_t now = 1000000000;

    /* What newlib allocates for a thread: numbers, conversions, the date. */
    snprintf(text, sizeof(text), "%.20g %ld", 1.1, random());
    CHECK(strtod("2.5e3", NULL) == 2500.0);
    CHECK(gmtime_r(&now, &tm));
    strtok(text, " ");
    return unused;
}

TEST(libc_thread_leak, "What the library allocates for a thread goes with it.")
{
    struct thread *t;
    uint64_t before = 0;

    for (int i = 0; i < 600; i++) {
        if (i == 200)
            before = free_pages();
        REQUIRE_OK(thread_create(&t, NULL, use_stdio, NULL));
        CHECK_OK(thread_join(t, NULL));
    }
    CHECK_EQ(free_pages(), before);
}

/* --- Time ----------------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * NS_PER_SECOND + (uint64_t)t->tv_nsec;
}

TEST(libc_clocks, "time, gettimeofday and clock_gettime agree and go forward.")
{
    struct timespec real, monotonic, later;
    struct timeval of_day;

    time_t seconds = time(NULL);
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &real));
    CHECK_OK(gettimeofday(&of_day, NULL));
    CHECK_GE(real.tv_sec, seconds);
    CHECK_GE(of_day.tv_sec * 1000000 + of_day.tv_usec, (int64_t)(ns_of(&real) / 1000));
    CHECK_LT(of_day.tv_sec, seconds + 60);
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &monotonic));
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &later));
    CHECK_GE(ns_of(&later), ns_of(&monotonic));
    CHECK_EQ(clock_gettime(12345, &later), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_OK(clock_getres(CLOCK_MONOTONIC, &later));
    CHECK(later.tv_sec == 0 && later.tv_nsec > 0);
}

TEST(libc_sleep, "nanosleep, clock_nanosleep and usleep sleep no shorter than asked for.")
{
    const struct timespec three_ms = {0, 3000000}, odd = {0, 1000000000}, past = {0, 0};
    struct timespec deadline;
    uint64_t start_ns = clock_monotonic_ns();

    CHECK_OK(nanosleep(&three_ms, NULL));
    CHECK_GE(clock_monotonic_ns() - start_ns, 3 * NS_PER_MS);
    start_ns = clock_monotonic_ns();
    CHECK_OK(usleep(2000));
    CHECK_GE(clock_monotonic_ns() - start_ns, 2 * NS_PER_MS);
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &deadline));
    deadline.tv_sec += (deadline.tv_nsec + 3000000) / 1000000000;
    deadline.tv_nsec = (deadline.tv_nsec + 3000000) % 1000000000;
    CHECK_OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL));
    CHECK_GE(clock_monotonic_ns(), ns_of(&deadline));
    CHECK_OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));
    CHECK_EQ(nanosleep(&odd, NULL), -1);
    CHECK_EQ(errno, EINVAL);
}

TEST(libc_calendar, "Dates are computed and printed.")
{
    const time_t second = 1700000000;
    struct tm tm;
    char text[64];

    REQUIRE(gmtime_r(&second, &tm));
    CHECK(strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %a", &tm) > 0);
    if (strcmp(text, "2023-11-14 22:13:20 Tue") != 0)
        FAIL("%s", text);
    CHECK_EQ(mktime(&tm), second); /* no time zone: UTC */
}

/* --- Environment ---------------------------------------------------------------------------- */

extern char **environ;

TEST(libc_environment, "Variables can be set, changed, listed and removed.")
{
    int found = 0;

    CHECK(!getenv("LIBC_TEST"));
    CHECK_OK(setenv("LIBC_TEST", "one", 0));
    CHECK_OK(setenv("LIBC_TEST", "two", 0));
    CHECK(getenv("LIBC_TEST") && strcmp(getenv("LIBC_TEST"), "one") == 0);
    CHECK_OK(setenv("LIBC_TEST", "a longer value than before", 1));
    for (char **variable = environ; *variable; variable++)
        found += strcmp(*variable, "LIBC_TEST=a longer value than before") == 0;
    CHECK_EQ(found, 1);
    CHECK_OK(unsetenv("LIBC_TEST"));
    CHECK(!getenv("LIBC_TEST"));
    CHECK_EQ(setenv("A=B", "c", 1), -1);
    CHECK_EQ(errno, EINVAL);
}

/* --- Files that are not there --------------------------------------------------------------- */

TEST(libc_no_files, "What is no file and no terminal says so by errno.")
{
    char byte;

    errno = 0;
    CHECK(!fopen("/etc/passwd", "r"));
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(read(5, &byte, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(write(99, &byte, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(close(-1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(lseek(1, 0, SEEK_SET), -1);
    CHECK_EQ(errno, ESPIPE);
}

/* --- Control flow, numbers ------------------------------------------------------------------ */

static jmp_buf target;

static __attribute__((noinline)) int jump(int depth)
{
    if (depth == 0)
        longjmp(target, 5);
    return depth < 0 ? 0 : jump(depth - 1) + 1;
}

TEST(libc_setjmp, "longjmp returns where setjmp was called, registers and all.")
{
    volatile int count = 0;
    int result = setjmp(target);

    if (count++ < 10)
        jump(20);
    CHECK_EQ(result, 5);
    CHECK_EQ(count, 11);
}

static volatile sig_atomic_t caught;

static void handler(int number)
{
    caught = number;
}

TEST(libc_raise, "raise calls the handler that signal has set.")
{
    caught = 0;
    REQUIRE(signal(SIGUSR1, handler) != SIG_ERR);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(caught, SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
}

TEST(libc_numbers, "Floating-point numbers print, parse and compute.")
{
    char text[500];
    volatile double two = 2, ten = 10;

    snprintf(text, sizeof(text), "%.10f %g %e %a %5d|%-5d|%05d %lld %zu", sqrt(two), 1e100,
             12345.678, 0.5, 42, 42, 42, -1234567890123456789ll, (size_t)7);
    if (strcmp(text, "1.4142135624 1e+100 1.234568e+04 0x1p-1    42|42   |00042 "
                     "-1234567890123456789 7") != 0)
        FAIL("%s", text);
    CHECK(fabs(pow(two, 0.5) * pow(two, 0.5) - 2) < 1e-12);
    CHECK(fabs(sin(two) * sin(two) + cos(two) * cos(two) - 1) < 1e-12);
    CHECK(fabs(exp(log(ten)) - 10) < 1e-12);
    CHECK(strtod("0.1", NULL) == 0.1);
    CHECK(isnan(strtod("nan", NULL)));
}

static int compare_ints(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

TEST(libc_sort, "qsort sorts and bsearch finds.")
{
    enum { COUNT = 2000 };
    static int numbers[COUNT];
    struct random random = RANDOM(9);

    for (int i = 0; i < COUNT; i++)
        numbers[i] = (int)random_next(&random);
    int wanted = numbers[COUNT / 3];
    qsort(numbers, COUNT, sizeof(numbers[0]), compare_ints);
    for (int i = 1; i < COUNT; i++)
        CHECK_GE(numbers[i], numbers[i - 1]);
    CHECK(bsearch(&wanted, numbers, COUNT, sizeof(numbers[0]), compare_ints));
}
