/*
 * Signals inside libc-glue: who shares what with signal.c.
 */
#ifndef LIBC_GLUE_SIGNAL_H
#define LIBC_GLUE_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

#include "libc-glue/pthread.h"

static inline sigset_t signal_bit(int sig)
{
    return (sigset_t)1 << sig;
}

static inline bool signal_is_valid(int sig)
{
    return sig > 0 && sig < NSIG;
}

/* Of code that runs in a trap: the registers of the FPU are still those of what faulted. */
#define SIGNAL_IN_TRAP __attribute__((target("general-regs-only")))

#define SIGNALS_UNBLOCKABLE ((sigset_t)1 << SIGKILL | (sigset_t)1 << SIGSTOP)

/* Protects actions, masks and what is pending. Order: this, pthread_all_lock, sched_lock. */
extern struct spinlock signal_lock;
extern sigset_t signal_process_pending; /* sent to the process */

/* Changes with each signal that is sent; who waits for one sleeps on it. */
extern unsigned signal_arrivals;
extern void *signal_waiters;

/* Sends info->si_signo to a thread, or (NULL) to whichever of the process takes it. Any context; in
 * a thread's own (is_event false) the caller looks after itself by signal_deliver. */
void signal_send(struct pthread *to, const siginfo_t *info, bool is_event);

/* Takes one of `set` that is pending for the caller. Its number, or 0. */
int signal_take(sigset_t set, siginfo_t *info);

/* Delivers to the caller all that is pending and not blocked. Whether calls that were interrupted
 * begin anew. */
bool signal_deliver(void);

/* Sets the caller's mask and delivers what that allows. */
void signal_set_mask(sigset_t mask);

/* For the time of a call that sleeps: the mask while it sleeps, and what to give back afterwards;
 * in between, signals do nothing but interrupt it. */
sigset_t signal_begin_masked(const sigset_t *mask);
void signal_end_masked(sigset_t old);

/* Runs a handler (neither SIG_DFL nor SIG_IGN) with its mask, on its stack. */
void signal_run_handler(const struct sigaction *action, siginfo_t *info, ucontext_t *context);

/* The action for a signal that a fault of the caller raises, or false: the crash report. */
SIGNAL_IN_TRAP bool signal_fault_action(int sig, struct sigaction *out);

SIGNAL_IN_TRAP bool signal_is_on_stack(const struct signal_stack *stack, const void *at);

/* libc-glue/signal_fault.c: from now on faults raise signals. */
void signal_catch_faults(void);

#endif
