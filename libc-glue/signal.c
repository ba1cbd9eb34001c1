/*
 * Signals: actions, sending, delivery. Nothing comes from outside: they are sent by the
 * application, by its timers and by its faults.
 *
 * A signal reaches another thread by an interruption (kernel/thread.h): at once if the thread
 * sleeps in an interruptible call or runs; when it gives them up, if it holds locks of the system
 * or of the C library. One sent to the process goes to the oldest thread that does not block it.
 * Ordinary calls from threads; signal_send from timers, too. Source: POSIX.1-2017, 2.4.
 */
#include "libc-glue/signal.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "kernel/panic.h"
#include "libc-glue/glue.h"

#define FAULT_SIGNALS                                                                              \
    ((sigset_t)1 << SIGSEGV | (sigset_t)1 << SIGBUS | (sigset_t)1 << SIGFPE |                      \
     (sigset_t)1 << SIGILL | (sigset_t)1 << SIGTRAP)

struct spinlock signal_lock;
sigset_t signal_process_pending;
unsigned signal_arrivals;
void *signal_waiters;

static struct sigaction actions[NSIG]; /* SIG_DFL is 0 */
static siginfo_t process_info[NSIG];   /* of signal_process_pending */

/* --- Actions ---------------------------------------------------------------------------------- */

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

static bool is_ignored(int sig)
{
    const sigset_t by_default =
        signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH);

    return actions[sig].sa_handler == SIG_IGN ||
           (actions[sig].sa_handler == SIG_DFL && (by_default & signal_bit(sig)) != 0);
}

/* signal_lock held. An ignored signal is not pending either. */
static void forget(int sig)
{
    struct pthread *p;

    signal_process_pending &= ~signal_bit(sig);
    spin_lock(&pthread_all_lock);
    LIST_FOREACH(p, &pthread_all, link)
    {
        p->signal_pending &= ~signal_bit(sig);
    }
    spin_release(&pthread_all_lock);
}

int sigaction(int sig, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    const bool is_fixed = sig == SIGKILL || sig == SIGSTOP;

    if (!signal_is_valid(sig) || (action != NULL && is_fixed))
        return (int)glue_result(-EINVAL);
    pthread_here();
    bool unmask = spin_lock(&signal_lock);
    struct sigaction before = actions[sig];
    if (action != NULL) {
        actions[sig] = *action;
        actions[sig].sa_mask &= ~SIGNALS_UNBLOCKABLE;
        if (is_ignored(sig))
            forget(sig);
    }
    spin_unlock(&signal_lock, unmask);
    if (old != NULL)
        *old = before;
    if ((FAULT_SIGNALS & signal_bit(sig)) != 0)
        signal_catch_faults();
    return 0;
}

/* The handler stays: BSD's semantics, as Linux's C libraries have it. */
_sig_func_ptr signal(int sig, _sig_func_ptr handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

    return sigaction(sig, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

int siginterrupt(int sig, int interrupts)
{
    struct sigaction action;

    if (sigaction(sig, NULL, &action) != 0)
        return -1;
    action.sa_flags = interrupts ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
    return sigaction(sig, &action, NULL);
}

/* --- Sending ---------------------------------------------------------------------------------- */

SIGNAL_IN_TRAP static bool is_blocked(const struct pthread *p, int sig)
{
    return (p->signal_mask & signal_bit(sig)) != 0;
}

/* signal_lock held. The newest is the list's first. */
static struct pthread *choose(int sig)
{
    struct pthread *p, *oldest = NULL;

    spin_lock(&pthread_all_lock);
    LIST_FOREACH(p, &pthread_all, link)
    {
        if (!is_blocked(p, sig))
            oldest = p;
    }
    spin_release(&pthread_all_lock);
    return oldest;
}

void signal_send(struct pthread *to, const siginfo_t *info, bool is_event)
{
    const int sig = info->si_signo;

    pthread_deliver_signals = signal_deliver;
    pthread_interrupts();
    bool unmask = spin_lock(&signal_lock);
    struct pthread *p = to != NULL ? to : choose(sig);
    const bool blocked = p == NULL || is_blocked(p, sig);
    if (blocked || !is_ignored(sig)) {
        if (to != NULL) {
            to->signal_pending |= signal_bit(sig);
        } else if ((signal_process_pending & signal_bit(sig)) == 0) {
            signal_process_pending |= signal_bit(sig);
            process_info[sig] = *info;
        }
        if (!blocked && (is_event || p != &pthread_own))
            thread_interrupt(p->thread);
        __atomic_fetch_add(&signal_arrivals, 1, __ATOMIC_RELAXED);
        pthread_wake(&signal_waiters, PTHREAD_WAKE_ALL);
    }
    spin_unlock(&signal_lock, unmask);
    if (unmask)
        thread_give_way();
}

static int send_to_process(int sig, int code, union sigval value)
{
    siginfo_t info = {.si_signo = sig, .si_code = code, .si_pid = getpid(), .si_value = value};

    pthread_here();
    signal_send(NULL, &info, false);
    signal_deliver();
    return 0;
}

static int check_target(pid_t pid, int sig)
{
    if (sig != 0 && !signal_is_valid(sig))
        return -EINVAL;
    return pid != getpid() && pid != 0 && pid != -1 ? -ESRCH : 0;
}

/* A signal that stops is refused, as long as it has no handler. */
static bool would_stop(int sig)
{
    return (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) &&
           actions[sig].sa_handler == SIG_DFL;
}

int kill(pid_t pid, int sig)
{
    int error = check_target(pid, sig);

    if (error == 0 && would_stop(sig))
        error = -ENOSYS;
    if (error == 0 && sig != 0)
        send_to_process(sig, SI_USER, (union sigval){0});
    return (int)glue_result(error);
}

int killpg(pid_t group, int sig)
{
    return group < 0 ? (int)glue_result(-EINVAL) : kill(group, sig);
}

int sigqueue(pid_t pid, int sig, const union sigval value)
{
    int error = check_target(pid, sig);

    if (error == 0 && sig != 0)
        send_to_process(sig, SI_QUEUE, value);
    return (int)glue_result(error);
}

int pthread_kill(pthread_t thread, int sig)
{
    struct pthread *p = pthread_of(thread);
    siginfo_t info = {.si_signo = sig, .si_code = SI_TKILL, .si_pid = getpid()};

    if (sig != 0 && !signal_is_valid(sig))
        return EINVAL;
    if (p->is_ending)
        return ESRCH;
    if (would_stop(sig))
        return ENOSYS;
    if (sig != 0)
        signal_send(p, &info, false);
    if (p == &pthread_own)
        signal_deliver();
    return 0;
}

int raise(int sig)
{
    int error = signal_is_valid(sig) ? pthread_kill(pthread_self(), sig) : EINVAL;

    return (int)glue_result(-error);
}

/* --- Delivery --------------------------------------------------------------------------------- */

int signal_take(sigset_t set, siginfo_t *info)
{
    struct pthread *self = &pthread_own;
    int sig = 0;
    bool unmask = spin_lock(&signal_lock);

    if ((self->signal_pending & set) != 0) {
        sig = __builtin_ctzl(self->signal_pending & set);
        self->signal_pending &= ~signal_bit(sig);
        *info = (siginfo_t){.si_signo = sig, .si_code = SI_TKILL, .si_pid = getpid()};
    } else if ((signal_process_pending & set) != 0) {
        sig = __builtin_ctzl(signal_process_pending & set);
        signal_process_pending &= ~signal_bit(sig);
        *info = process_info[sig];
    }
    spin_unlock(&signal_lock, unmask);
    return sig;
}

/* signal_lock held. What to do now; SA_RESETHAND changes what to do next. */
SIGNAL_IN_TRAP static struct sigaction use_action(int sig)
{
    struct sigaction action = actions[sig];

    if ((action.sa_flags & SA_RESETHAND) != 0 && action.sa_handler != SIG_IGN)
        actions[sig].sa_handler = SIG_DFL;
    return action;
}

bool signal_deliver(void)
{
    const int saved_errno = errno;
    bool restarts = true;
    siginfo_t info;
    int sig;

    while ((sig = signal_take(~pthread_own.signal_mask, &info)) != 0) {
        bool unmask = spin_lock(&signal_lock);
        struct sigaction action = use_action(sig);
        spin_unlock(&signal_lock, unmask);
        if (action.sa_handler == SIG_DFL) {
            act_by_default(sig);
        } else if (action.sa_handler != SIG_IGN) {
            ucontext_t context = {0};
            signal_run_handler(&action, &info, &context);
            restarts = restarts && (action.sa_flags & SA_RESTART) != 0;
        }
    }
    errno = saved_errno;
    return restarts;
}

/* What fn does happens on another stack. */
static void call_on_stack(void *top, void (*fn)(void *), void *arg)
{
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "mov %[top], %%rsp\n\t"
                     "call *%[fn]\n\t"
                     "mov %%rbx, %%rsp"
                     : "+D"(arg), [top] "+r"(top), [fn] "+r"(fn)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc",
                       "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0",
                       "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

struct handler_call {
    const struct sigaction *action;
    siginfo_t *info;
    ucontext_t *context;
};

static void call_handler(void *arg)
{
    const struct handler_call *call = arg;

    if ((call->action->sa_flags & SA_SIGINFO) != 0)
        call->action->sa_sigaction(call->info->si_signo, call->info, call->context);
    else
        call->action->sa_handler(call->info->si_signo);
}

bool signal_is_on_stack(const struct signal_stack *stack, const void *at)
{
    return (size_t)((const char *)at - stack->low) < stack->bytes;
}

void signal_run_handler(const struct sigaction *action, siginfo_t *info, ucontext_t *context)
{
    struct pthread *self = &pthread_own;
    const struct signal_stack *stack = &self->signal_stack;
    struct handler_call call = {action, info, context};
    sigset_t mask = self->signal_mask | action->sa_mask;

    if ((action->sa_flags & SA_NODEFER) == 0)
        mask |= signal_bit(info->si_signo);
    context->uc_sigmask = self->signal_mask;
    self->signal_mask = mask;
    if ((action->sa_flags & SA_ONSTACK) != 0 && stack->bytes != 0 &&
        !signal_is_on_stack(stack, __builtin_frame_address(0)))
        call_on_stack((void *)((uintptr_t)(stack->low + stack->bytes) & -16ul), call_handler,
                      &call);
    else
        call_handler(&call);
    self->signals_handled++;
    self->signal_mask = context->uc_sigmask & ~SIGNALS_UNBLOCKABLE; /* whoever called looks */
}

bool signal_fault_action(int sig, struct sigaction *out)
{
    struct pthread *self = &pthread_own;

    if (is_blocked(self, sig) || actions[sig].sa_handler == SIG_DFL ||
        actions[sig].sa_handler == SIG_IGN)
        return false;
    spin_lock(&signal_lock);
    *out = use_action(sig);
    spin_release(&signal_lock);
    return true;
}
