/*
 * Sets of signals, what a thread blocks, and waiting for signals instead of handling them.
 *
 * Ordinary calls from threads. Source: POSIX.1-2017, 2.4.
 */
#include <setjmp.h>
#include <stddef.h>
#include <unistd.h>

#include "libc-glue/deadline.h"
#include "libc-glue/glue.h"
#include "libc-glue/signal.h"

/* --- Sets ------------------------------------------------------------------------------------- */

int sigemptyset(sigset_t *set)
{
    *set = 0;
    return 0;
}

int sigfillset(sigset_t *set)
{
    *set = (signal_bit(NSIG - 1) - 1) * 2; /* 1 .. NSIG - 1 */
    return 0;
}

int sigaddset(sigset_t *set, int sig)
{
    if (!signal_is_valid(sig))
        return (int)glue_result(-EINVAL);
    *set |= signal_bit(sig);
    return 0;
}

int sigdelset(sigset_t *set, int sig)
{
    if (!signal_is_valid(sig))
        return (int)glue_result(-EINVAL);
    *set &= ~signal_bit(sig);
    return 0;
}

int sigismember(const sigset_t *set, int sig)
{
    return signal_is_valid(sig) ? (*set & signal_bit(sig)) != 0 : (int)glue_result(-EINVAL);
}

/* --- The mask --------------------------------------------------------------------------------- */

/* Whether something is pending that the mask lets through. */
static bool put_mask(sigset_t mask)
{
    struct pthread *self = pthread_here();
    bool unmask = spin_lock(&signal_lock);

    self->signal_mask = mask & ~SIGNALS_UNBLOCKABLE;
    bool due = ((self->signal_pending | signal_process_pending) & ~self->signal_mask) != 0;
    spin_unlock(&signal_lock, unmask);
    return due;
}

void signal_set_mask(sigset_t mask)
{
    if (put_mask(mask))
        signal_deliver();
}

sigset_t signal_begin_masked(const sigset_t *mask)
{
    struct pthread *self = pthread_here();
    sigset_t old = self->signal_mask;

    self->defers_signals = true;
    if (put_mask(*mask))
        thread_interrupt(self->thread);
    return old;
}

void signal_end_masked(sigset_t old)
{
    pthread_own.defers_signals = false;
    signal_set_mask(old);
}

int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    sigset_t before = pthread_here()->signal_mask, mask;

    if (set != NULL) {
        if (how == SIG_BLOCK)
            mask = before | *set;
        else if (how == SIG_UNBLOCK)
            mask = before & ~*set;
        else if (how == SIG_SETMASK)
            mask = *set;
        else
            return EINVAL;
        signal_set_mask(mask);
    }
    if (old != NULL)
        *old = before;
    return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
    return (int)glue_result(-pthread_sigmask(how, set, old));
}

int sigpending(sigset_t *set)
{
    struct pthread *self = pthread_here();
    bool unmask = spin_lock(&signal_lock);

    *set = (self->signal_pending | signal_process_pending) & self->signal_mask;
    spin_unlock(&signal_lock, unmask);
    return 0;
}

void __sigsetjmp_save(sigjmp_buf env, int save_mask)
{
    env[_JBLEN] = save_mask;
    env[_JBLEN + 1] = (_JBTYPE)pthread_here()->signal_mask;
}

void siglongjmp(sigjmp_buf env, int value)
{
    if (env[_JBLEN])
        signal_set_mask((sigset_t)env[_JBLEN + 1]);
    longjmp(env, value);
}

int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
    struct signal_stack *ours = &pthread_here()->signal_stack, before = *ours;
    bool in_use = signal_is_on_stack(ours, __builtin_frame_address(0));

    if (stack != NULL) {
        if (in_use)
            return (int)glue_result(-EPERM);
        if ((stack->ss_flags & ~(SS_DISABLE | SS_ONSTACK)) != 0)
            return (int)glue_result(-EINVAL);
        if ((stack->ss_flags & SS_DISABLE) == 0 && stack->ss_size < MINSIGSTKSZ)
            return (int)glue_result(-ENOMEM);
        *ours = (struct signal_stack){0};
        if ((stack->ss_flags & SS_DISABLE) == 0)
            *ours = (struct signal_stack){stack->ss_sp, stack->ss_size};
    }
    if (old != NULL)
        *old = (stack_t){
            .ss_sp = before.low,
            .ss_size = before.bytes,
            .ss_flags = before.bytes == 0 ? SS_DISABLE
                        : in_use          ? SS_ONSTACK
                                          : 0,
        };
    return 0;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* Until a handler has run. */
static void wait_for_handler(unsigned before)
{
    struct pthread *self = &pthread_own;
    void *nobody = NULL; /* wakes it: an interruption does */

    while (self->signals_handled == before)
        if (pthread_sleep_interruptible(&nobody, &self->signals_handled, before, DEADLINE_NEVER) ==
            -EINTR)
            thread_serve_interrupt();
}

int sigsuspend(const sigset_t *mask)
{
    struct pthread *self = pthread_here();
    sigset_t old = self->signal_mask;
    unsigned before = self->signals_handled;

    signal_set_mask(*mask);
    wait_for_handler(before);
    signal_set_mask(old);
    return (int)glue_result(-EINTR);
}

int pause(void)
{
    wait_for_handler(pthread_here()->signals_handled);
    return (int)glue_result(-EINTR);
}

/* The number of the signal; -EAGAIN: none until the deadline; -EINTR: another was handled. */
static int wait_for(const sigset_t *set, siginfo_t *info, uint64_t deadline_ns)
{
    pthread_here();
    for (;;) {
        unsigned arrivals = __atomic_load_n(&signal_arrivals, __ATOMIC_RELAXED);
        int sig = signal_take(*set, info);

        if (sig != 0) {
            info->si_code = info->si_code == SI_TKILL ? SI_USER : info->si_code; /* as glibc */
            return sig;
        }
        int error =
            pthread_sleep_interruptible(&signal_waiters, &signal_arrivals, arrivals, deadline_ns);
        if (error == -EINTR)
            thread_serve_interrupt();
        if (error == -EINTR || error == -ETIMEDOUT)
            return error == -EINTR ? error : -EAGAIN;
    }
}

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                 const struct timespec *restrict timeout)
{
    uint64_t deadline_ns;
    siginfo_t taken;
    int result = deadline_after(timeout, &deadline_ns);

    if (result == 0)
        result = wait_for(set, &taken, deadline_ns);
    if (result > 0 && info != NULL)
        *info = taken;
    return (int)glue_result(result);
}

int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
    return sigtimedwait(set, info, NULL);
}

int sigwait(const sigset_t *restrict set, int *restrict sig)
{
    siginfo_t info;
    int result;

    while ((result = wait_for(set, &info, DEADLINE_NEVER)) == -EINTR)
        ;
    *sig = result;
    return 0;
}
