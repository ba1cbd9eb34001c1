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

/* --- Others, and groups of them ------------------------------------------------------------- */

pid_t vfork(void)
{
    return fork();
}

int execvpe(const char *file, char *const argv[], char *const envp[])
{
    return _execve(file, argv, envp);
}

int fexecve(int fd, char *const argv[], char *const envp[])
{
    (void)fd;
    return _execve("", argv, envp);
}

int daemon(int stays_in_folder, int keeps_files)
{
    (void)stays_in_folder, (void)keeps_files;
    return (int)glue_result(-ENOSYS);
}

/* Nobody's child, as init is. */
pid_t getppid(void)
{
    return 0;
}

static pid_t only_ours(pid_t pid)
{
    return (pid_t)glue_result(pid == 0 || pid == OUR_PID ? OUR_PID : -ESRCH);
}

pid_t getpgrp(void)
{
    return OUR_PID;
}

pid_t getpgid(pid_t pid)
{
    return only_ours(pid);
}

pid_t getsid(pid_t pid)
{
    return only_ours(pid);
}

/* Of which it is the leader already. */
pid_t setsid(void)
{
    return (pid_t)glue_result(-EPERM);
}

int setpgid(pid_t pid, pid_t group)
{
    (void)group;
    return only_ours(pid) == -1 ? -1 : (int)glue_result(-EPERM); /* a session's leader */
}

int setpgrp(void)
{
    return setpgid(0, 0);
}

/* Nobody has more rights than another. */
char *secure_getenv(const char *name)
{
    return getenv(name);
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
