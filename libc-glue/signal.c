/*
 * Signals that the process sends to itself: dispositions are the process's, delivery is at once, in
 * the thread that raises. Nothing comes from outside, and nothing is ever blocked.
 *
 * Ordinary calls from threads. Lock: none; a disposition changes atomically.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "kernel/panic.h"
#include "libc-glue/glue.h"

static _Atomic(_sig_func_ptr) handlers[NSIG]; /* SIG_DFL is 0 */

static bool is_signal(int sig)
{
    return sig > 0 && sig < NSIG;
}

/* The handler stays: BSD's semantics, as Linux's C libraries have it. */
_sig_func_ptr signal(int sig, _sig_func_ptr handler)
{
    if (!is_signal(sig) || sig == SIGKILL || sig == SIGSTOP) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return atomic_exchange(&handlers[sig], handler);
}

/* Signals that mean a defect crash with a report, the others end the application as a shell would
 * show it. */
static int act_by_default(int sig)
{
    switch (sig) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
        return 0;
    case SIGABRT:
        panic("abort() called");
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGQUIT:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP:
        panic("the application sent itself signal %d", sig);
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return -ENOSYS; /* nothing could ever continue it */
    default:
        _exit(128 + sig);
    }
}

static int deliver(int sig)
{
    _sig_func_ptr handler = atomic_load(&handlers[sig]);

    if (handler == SIG_DFL)
        return act_by_default(sig);
    if (handler != SIG_IGN)
        handler(sig);
    return 0;
}

int raise(int sig)
{
    return (int)glue_result(is_signal(sig) ? deliver(sig) : -EINVAL);
}

int kill(pid_t pid, int sig)
{
    if (sig != 0 && !is_signal(sig))
        return (int)glue_result(-EINVAL);
    if (pid != getpid() && pid != 0 && pid != -1)
        return (int)glue_result(-ESRCH);
    return (int)glue_result(sig == 0 ? 0 : deliver(sig));
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how, (void)set, (void)old;
    return (int)glue_result(-ENOSYS);
}
