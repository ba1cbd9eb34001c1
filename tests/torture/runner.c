/*
 * Runs gcc's torture tests, each a main of its own, in the guest and on Linux. A test passes if its
 * main returns 0 or it calls exit(0); abort, another status and a fault fail it.
 *
 * usage: torture [NAME...]        (all tests; or these, which then may print)
 *
 * The lines that it prints: tests/framework.py.
 */
#include "tests/torture/runner.h"

#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum outcome { STARTED, EXITED, ABORTED, FAULTED };

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

static sigjmp_buf out;
static volatile int detail; /* the status or the signal */
static char fault_stack[64 * 1024];

#ifdef __linux__
/* Objects that serve both programs were compiled for the guest's stack protector. */
uintptr_t __stack_chk_guard = 0x5bd1e995;
#endif

void torture_exit(int status)
{
    detail = status;
    siglongjmp(out, EXITED);
}

void torture_abort(void)
{
    siglongjmp(out, ABORTED);
}

/* The next test needs stdout as well. */
int torture_fclose(FILE *file)
{
    return file == stdout ? fflush(file) : fclose(file);
}

static void on_fault(int signal)
{
    detail = signal;
    siglongjmp(out, FAULTED);
}

/* As a program finds it at its start, whatever the test before it left. */
static void set_up(bool prints)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    stack_t stack = {.ss_sp = fault_stack, .ss_size = sizeof(fault_stack)};

    fesetenv(FE_DFL_ENV);
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        sigaction(faults[i], &action, NULL);
    if (!prints)
        freopen("/dev/null", "w", stdout);
}

/* True if it passed; else `why` says why not. */
static bool passes(const struct torture *test, bool prints, char *why, size_t size)
{
    static char *arguments[] = {"torture", NULL}, *environment[] = {NULL};
    int status;

    set_up(prints);
    switch (sigsetjmp(out, 1)) {
    case STARTED:
        status = test->main(1, arguments, environment);
        break;
    case EXITED:
        status = detail;
        break;
    case ABORTED:
        snprintf(why, size, "abort");
        return false;
    default:
        snprintf(why, size, "%s", strsignal(detail));
        return false;
    }
    snprintf(why, size, "status %d", status);
    return status == 0;
}

static bool is_wanted(const struct torture *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(test->name, argv[i]) == 0)
            return true;
    return argc <= 1;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    FILE *report = fdopen(dup(STDOUT_FILENO), "w");

    setvbuf(report, NULL, _IOLBF, BUFSIZ);
    for (const struct torture *test = torture_tests; test->name; test++) {
        char why[64];

        if (!is_wanted(test, argc, argv))
            continue;
        fprintf(report, "test: %s ...\n", test->name);
        bool fine = passes(test, argc > 1, why, sizeof(why));
        fflush(stdout);
        if (fine)
            fprintf(report, "test: %s ... ok\n", test->name);
        else
            fprintf(report, "test: %s ... FAILED %s\n", test->name, why);
        *(fine ? &passed : &failed) += 1;
    }
    fprintf(report, "tests: %u passed, %u failed, 0 skipped\n", passed, failed);
    return failed != 0 || passed == 0;
}
