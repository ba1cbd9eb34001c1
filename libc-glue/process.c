/*
 * The application as a process: the only one there is, so others can be neither made nor found.
 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/panic.h"
#include "libc-glue/glue.h"

#define OUR_PID 1

/* A handler for SIGABRT runs, but cannot prevent the end. */
void abort(void)
{
    raise(SIGABRT);
    panic("abort() called");
}

void __assert_func(const char *file, int line, const char *function, const char *expression)
{
    panic("assertion failed: %s (%s:%d, %s)", expression, file, line,
          function != NULL ? function : "?");
}

pid_t getpid(void)
{
    return OUR_PID;
}

pid_t fork(void)
{
    return glue_result(-ENOSYS);
}

/* Under execve and its relatives. */
int _execve(const char *path, char *const argv[], char *const envp[])
{
    (void)path, (void)argv, (void)envp;
    return glue_result(-ENOSYS);
}

FILE *popen(const char *command, const char *mode)
{
    (void)command, (void)mode;
    errno = ENOSYS;
    return NULL;
}

int pclose(FILE *stream)
{
    (void)stream;
    return (int)glue_result(-ECHILD);
}

pid_t wait(int *status)
{
    (void)status;
    return glue_result(-ECHILD);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    (void)pid, (void)status, (void)options;
    return glue_result(-ECHILD);
}
