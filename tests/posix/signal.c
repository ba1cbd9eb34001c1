/*
 * Signals: actions, masks, waiting, who gets them, what they interrupt, timers, faults.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/posix/check.h"
#include "tests/posix/loopback.h"

#ifdef __parvus__
#include <parvus.h>
#endif

static atomic_int handled, last;
static siginfo_t last_info;
static sigset_t mask_inside;
static pthread_t handled_by;

static void handle(int sig)
{
    handled_by = pthread_self();
    pthread_sigmask(SIG_BLOCK, NULL, &mask_inside);
    atomic_store(&last, sig);
    atomic_fetch_add(&handled, 1);
}

static void handle_info(int sig, siginfo_t *info, void *context)
{
    CHECK(context != NULL);
    last_info = *info;
    handle(sig);
}

static void set_handler(int sig, void (*fn)(int), int flags)
{
    struct sigaction action = {.sa_handler = fn, .sa_flags = flags};

    CHECK_OK(sigaction(sig, &action, NULL));
}

static void set_info_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO};

    CHECK_OK(sigaction(sig, &action, NULL));
}

static sigset_t set_of(int sig)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    return set;
}

static void mask(int how, int sig)
{
    sigset_t set = set_of(sig);

    CHECK_OK(sigprocmask(how, &set, NULL));
}

/* --- Actions and masks --------------------------------------------------------------------------
 */

TEST(signal_action, "sigaction sets and tells what a signal does; some are not for handling.")
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, old;

    action.sa_mask = set_of(SIGUSR2);
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == handle);
    CHECK_EQ(old.sa_flags & SA_RESTART, SA_RESTART);
    CHECK_EQ(sigismember(&old.sa_mask, SIGUSR2), 1);
    CHECK_EQ(sigismember(&old.sa_mask, SIGUSR1), 0);
    CHECK_FAILS(sigaction(SIGKILL, &action, NULL), EINVAL);
    CHECK_FAILS(sigaction(SIGSTOP, &action, NULL), EINVAL);
    CHECK_FAILS(sigaction(0, &action, NULL), EINVAL);
    CHECK_FAILS(sigaction(9999, &action, NULL), EINVAL);
    CHECK_OK(sigaction(SIGKILL, NULL, &old));
    CHECK(signal(SIGKILL, handle) == SIG_ERR && errno == EINVAL);
    atomic_store(&handled, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(atomic_load(&handled), 1);
    CHECK_EQ(atomic_load(&last), SIGUSR1);
    CHECK_EQ(sigismember(&mask_inside, SIGUSR1), 1);
    CHECK_EQ(sigismember(&mask_inside, SIGUSR2), 1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask_inside));
    CHECK_EQ(sigismember(&mask_inside, SIGUSR1), 0);
    set_handler(SIGUSR1, handle, SA_NODEFER | SA_RESETHAND);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(sigismember(&mask_inside, SIGUSR1), 0);
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    CHECK_OK(raise(SIGUSR1));
    CHECK_OK(raise(SIGCHLD));
    CHECK_FAILS(raise(-1), EINVAL);
    CHECK_OK(kill(getpid(), 0));
    CHECK_FAILS(kill(getpid(), 9999), EINVAL);
    CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

TEST(signal_sets, "Sets of signals hold what is put into them.")
{
    sigset_t set;

    CHECK_OK(sigemptyset(&set));
    CHECK_EQ(sigismember(&set, SIGUSR2), 0);
    CHECK_OK(sigaddset(&set, SIGUSR2));
    CHECK_EQ(sigismember(&set, SIGUSR2), 1);
    CHECK_EQ(sigismember(&set, SIGUSR1), 0);
    CHECK_OK(sigfillset(&set));
    CHECK_EQ(sigismember(&set, SIGHUP), 1);
    CHECK_OK(sigdelset(&set, SIGHUP));
    CHECK_EQ(sigismember(&set, SIGHUP), 0);
    CHECK_FAILS(sigaddset(&set, 0), EINVAL);
    CHECK_FAILS(sigdelset(&set, 9999), EINVAL);
    CHECK_FAILS(sigismember(&set, -1), EINVAL);
    CHECK_FAILS(sigprocmask(77, &set, NULL), EINVAL);
}

TEST(signal_blocked, "A blocked signal is pending until it is let through; SIGKILL cannot be.")
{
    sigset_t pending, all, old;

    set_handler(SIGUSR1, handle, 0);
    atomic_store(&handled, 0);
    mask(SIG_BLOCK, SIGUSR1);
    CHECK_OK(raise(SIGUSR1));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(atomic_load(&handled), 0);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
    CHECK_EQ(sigismember(&pending, SIGUSR2), 0);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(atomic_load(&handled), 2); /* the thread's own and the process's */
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
    sigfillset(&all);
    CHECK_OK(sigprocmask(SIG_SETMASK, &all, &old));
    CHECK_OK(sigprocmask(SIG_SETMASK, &old, &all));
    CHECK_EQ(sigismember(&all, SIGTERM), 1);
    CHECK_EQ(sigismember(&all, SIGKILL), 0);
    mask(SIG_BLOCK, SIGUSR1);
    CHECK_OK(raise(SIGUSR1));
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR); /* forgets it */
    CHECK(signal(SIGUSR1, handle) == SIG_IGN);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(atomic_load(&handled), 2);
    signal(SIGUSR1, SIG_DFL);
}

TEST(signal_info, "A handler with SA_SIGINFO hears who sent the signal, and the value.")
{
    set_info_handler(SIGUSR1, handle_info, 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(last_info.si_signo, SIGUSR1);
    CHECK_EQ(last_info.si_code, SI_USER);
    CHECK_EQ(last_info.si_pid, getpid());
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(last_info.si_code, SI_TKILL);
    CHECK_OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1234}));
    CHECK_EQ(last_info.si_code, SI_QUEUE);
    CHECK_EQ(last_info.si_value.sival_int, 1234);
    signal(SIGUSR1, SIG_DFL);
}

static void raise_other(int sig)
{
    if (sig == SIGUSR1) {
        CHECK_OK(raise(SIGUSR1)); /* waits for our end */
        CHECK_EQ(atomic_load(&handled), 0);
        CHECK_OK(raise(SIGUSR2));
        CHECK_EQ(atomic_load(&handled), 1);
        signal(SIGUSR1, handle);
    }
}

TEST(signal_nested, "A handler's own signal waits for its end, another does not.")
{
    atomic_store(&handled, 0);
    set_handler(SIGUSR1, raise_other, 0);
    set_handler(SIGUSR2, handle, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(atomic_load(&handled), 2);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

static sigjmp_buf back;

static void jump(int sig)
{
    siglongjmp(back, sig);
}

TEST(signal_jump, "siglongjmp leaves a handler and restores the mask.")
{
    sigset_t now;
    volatile int times = 0;

    set_handler(SIGUSR1, jump, 0);
    if (sigsetjmp(back, 1) == 0)
        raise(SIGUSR1);
    times++;
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 0);
    if (sigsetjmp(back, 0) == 0)
        raise(SIGUSR1);
    times++;
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 1);
    CHECK_EQ(times, 2);
    mask(SIG_UNBLOCK, SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
}

static char *alternate;
static atomic_bool was_on_alternate;

static void look_where(int sig)
{
    char here;
    stack_t stack;

    (void)sig;
    atomic_store(&was_on_alternate, &here >= alternate && &here < alternate + SIGSTKSZ);
    CHECK_OK(sigaltstack(NULL, &stack));
    CHECK_EQ(stack.ss_flags & SS_ONSTACK, was_on_alternate ? SS_ONSTACK : 0);
    if (was_on_alternate)
        CHECK_FAILS(sigaltstack(&stack, NULL), EPERM);
}

TEST(signal_stack, "A handler with SA_ONSTACK runs on the alternate stack.")
{
    stack_t stack = {.ss_size = SIGSTKSZ}, old;

    REQUIRE((alternate = stack.ss_sp = malloc(SIGSTKSZ)) != NULL);
    CHECK_OK(sigaltstack(NULL, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    stack.ss_flags = 77;
    CHECK_FAILS(sigaltstack(&stack, NULL), EINVAL);
    stack.ss_flags = 0;
    stack.ss_size = 100;
    CHECK_FAILS(sigaltstack(&stack, NULL), ENOMEM);
    stack.ss_size = SIGSTKSZ;
    CHECK_OK(sigaltstack(&stack, NULL));
    set_handler(SIGUSR1, look_where, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(atomic_load(&was_on_alternate));
    set_handler(SIGUSR1, look_where, 0);
    raise(SIGUSR1);
    CHECK(!atomic_load(&was_on_alternate));
    stack.ss_flags = SS_DISABLE;
    CHECK_OK(sigaltstack(&stack, &old));
    CHECK(old.ss_sp == alternate && old.ss_size == (size_t)SIGSTKSZ);
    free(alternate);
    signal(SIGUSR1, SIG_DFL);
}

/* --- Other threads ------------------------------------------------------------------------------
 */

static atomic_bool stop, started;

static void *spin(void *unused)
{
    atomic_store(&started, true);
    while (!atomic_load(&stop))
        ;
    return unused;
}

static void *spin_blocked(void *unused)
{
    mask(SIG_BLOCK, SIGUSR1);
    return spin(unused);
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    atomic_store(&started, false);
    atomic_store(&stop, false);
    if (!CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0))
        exit(1);
    return thread;
}

static void wait_for_count(int count)
{
    while (atomic_load(&handled) < count)
        sleep_ms(1);
}

TEST(signal_thread, "pthread_kill reaches a thread that only computes.")
{
    double sum = 1.0;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    pthread_t thread = start(spin, NULL);
    while (!atomic_load(&started))
        sleep_ms(1);
    CHECK_EQ(pthread_kill(thread, 0), 0);
    CHECK_EQ(pthread_kill(thread, 9999), EINVAL);
    for (int i = 1; i <= 5; i++) {
        CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
        wait_for_count(i);
        CHECK(pthread_equal(handled_by, thread));
        sum *= 1.5;
    }
    CHECK(sum > 7.5 && sum < 7.6);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(signal_process, "A signal of the process goes to a thread that does not block it.")
{
    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    pthread_t thread = start(spin_blocked, NULL);
    while (!atomic_load(&started))
        sleep_ms(1);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(atomic_load(&handled), 1);
    CHECK(pthread_equal(handled_by, pthread_self()));
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    sleep_ms(20);
    CHECK_EQ(atomic_load(&handled), 1);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    thread = start(spin, NULL);
    while (!atomic_load(&started))
        sleep_ms(1);
    mask(SIG_BLOCK, SIGUSR1);
    CHECK_OK(kill(getpid(), SIGUSR1));
    wait_for_count(2);
    CHECK(pthread_equal(handled_by, thread));
    mask(SIG_UNBLOCK, SIGUSR1);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
}

/* --- Waiting for signals ------------------------------------------------------------------------
 */

struct sender {
    pthread_t to;
    int sig, times;
};

static void *send_soon(void *arg)
{
    const struct sender *s = arg;

    mask(SIG_BLOCK, s->sig);
    for (int i = 0; i < s->times; i++) {
        sleep_ms(20);
        pthread_kill(s->to, s->sig);
    }
    return NULL;
}

static struct sender sender;

/* Sends us a signal when we sleep. */
static pthread_t send_later(int sig, int times)
{
    sender = (struct sender){pthread_self(), sig, times};
    return start(send_soon, &sender);
}

TEST(signal_wait, "sigwait takes a blocked signal; sigtimedwait gives up; sigsuspend handles one.")
{
    sigset_t set = set_of(SIGUSR1), none;
    struct timespec soon = {.tv_nsec = 20000000};
    siginfo_t info;
    int sig = 0;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    mask(SIG_BLOCK, SIGUSR1);
    CHECK_FAILS(sigtimedwait(&set, &info, &soon), EAGAIN);
    raise(SIGUSR1);
    CHECK_EQ(sigwait(&set, &sig), 0);
    CHECK_EQ(sig, SIGUSR1);
    pthread_t thread = send_later(SIGUSR1, 1);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_signo, SIGUSR1);
    CHECK_EQ(info.si_code, SI_USER);
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK_EQ(sigwait(&set, &sig), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&handled), 0);
    raise(SIGUSR1);
    sigemptyset(&none);
    CHECK_FAILS(sigsuspend(&none), EINTR);
    CHECK_EQ(atomic_load(&handled), 1);
    CHECK_EQ(sigpending(&none), 0);
    CHECK_EQ(sigismember(&none, SIGUSR1), 0);
    thread = send_later(SIGUSR1, 1);
    sigemptyset(&none);
    CHECK_FAILS(sigsuspend(&none), EINTR);
    CHECK_EQ(atomic_load(&handled), 2);
    pthread_join(thread, NULL);
    mask(SIG_UNBLOCK, SIGUSR1);
    thread = send_later(SIGUSR1, 1);
    CHECK_FAILS(pause(), EINTR);
    CHECK_EQ(atomic_load(&handled), 3);
    pthread_join(thread, NULL);
    set_handler(SIGUSR2, handle, SA_RESTART);
    mask(SIG_BLOCK, SIGUSR1);
    thread = send_later(SIGUSR2, 1);
    CHECK_FAILS(sigwaitinfo(&set, &info), EINTR);
    pthread_join(thread, NULL);
    mask(SIG_UNBLOCK, SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

/* --- What a signal interrupts -------------------------------------------------------------------
 */

static int interrupted(ssize_t result)
{
    return result == -1 && errno == EINTR;
}

TEST(signal_eintr, "Calls that sleep end with EINTR when a handler without SA_RESTART has run.")
{
    struct timespec time = {.tv_sec = 100}, left = {0};
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval timeout = {.tv_sec = 100};
    fd_set fds;
    int p[2], ep;
    char c;
    sem_t sem;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    REQUIRE_OK(pipe(p));
    REQUIRE_OK(sem_init(&sem, 0, 0));
    pthread_t thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(read(p[0], &c, 1)));
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(nanosleep(&time, &left)));
    pthread_join(thread, NULL);
    CHECK_GE(left.tv_sec, 50);
    thread = send_later(SIGUSR1, 1);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL), EINTR);
    pthread_join(thread, NULL);
    struct pollfd pfd = {.fd = p[0], .events = POLLIN};
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(poll(&pfd, 1, -1)));
    pthread_join(thread, NULL);
    FD_ZERO(&fds);
    FD_SET(p[0], &fds);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(select(p[0] + 1, &fds, NULL, NULL, &timeout)));
    pthread_join(thread, NULL);
    REQUIRE_GE(ep = epoll_create1(0), 0);
    CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event));
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(epoll_wait(ep, &event, 1, -1)));
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(sem_wait(&sem)));
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&handled), 7);
    CHECK_OK(close(ep));
    CHECK_OK(close(p[0]));
    CHECK_OK(close(p[1]));
    sem_destroy(&sem);
    signal(SIGUSR1, SIG_DFL);
}

static int to_write;

static void write_second_time(int sig)
{
    (void)sig;
    if (atomic_fetch_add(&handled, 1) == 1)
        CHECK_EQ(write(to_write, "x", 1), 1);
}

TEST(signal_restart, "With SA_RESTART a read goes on; poll and nanosleep do not.")
{
    struct timespec time = {.tv_sec = 100};
    struct pollfd pfd;
    int p[2];
    char c = 0;
    sem_t sem;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, write_second_time, SA_RESTART);
    REQUIRE_OK(pipe(p));
    to_write = p[1];
    pthread_t thread = send_later(SIGUSR1, 2);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_EQ(atomic_load(&handled), 2);
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(nanosleep(&time, NULL)));
    pthread_join(thread, NULL);
    pfd = (struct pollfd){.fd = p[0], .events = POLLIN};
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(poll(&pfd, 1, -1)));
    pthread_join(thread, NULL);
    REQUIRE_OK(sem_init(&sem, 0, 0));
    time = (struct timespec){0};
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += 100;
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(sem_timedwait(&sem, &time)));
    pthread_join(thread, NULL);
    sem_destroy(&sem);
    CHECK_OK(close(p[0]));
    CHECK_OK(close(p[1]));
    signal(SIGUSR1, SIG_DFL);
}

TEST(signal_sockets, "Sockets that sleep are interrupted like other files, or go on.")
{
    static char block[65536];
    union address address;
    int pair[2], listener = listening_socket(AF_INET, &address);
    int datagrams = bound_socket(AF_INET, SOCK_DGRAM, &address);
    char c = 0;

    REQUIRE(listener >= 0 && datagrams >= 0 && connected_pair(AF_INET, pair));
    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    pthread_t thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(accept(listener, NULL, NULL)));
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(recv(datagrams, &c, 1, 0)));
    pthread_join(thread, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(recv(pair[1], &c, 1, 0)));
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&handled), 3);
    atomic_store(&handled, 0);
    set_handler(SIGUSR1, write_second_time, SA_RESTART);
    to_write = pair[0];
    thread = send_later(SIGUSR1, 2);
    CHECK_EQ(recv(pair[1], &c, 1, 0), 1);
    CHECK_EQ(c, 'x');
    pthread_join(thread, NULL);
    set_handler(SIGUSR1, handle, 0);
    while (send(pair[0], block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    thread = send_later(SIGUSR1, 1);
    ssize_t sent = send(pair[0], block, sizeof(block), 0);
    CHECK(interrupted(sent) || (sent > 0 && sent < (ssize_t)sizeof(block)));
    pthread_join(thread, NULL);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    CHECK_OK(close(listener));
    CHECK_OK(close(datagrams));
    signal(SIGUSR1, SIG_DFL);
}

TEST(signal_masked_wait,
     "ppoll, pselect and epoll_pwait let a signal through only while they wait.")
{
    struct pollfd pfd = {.fd = -1};
    struct epoll_event event;
    sigset_t none, now;
    int ep;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    sigemptyset(&none);
    REQUIRE_GE(ep = epoll_create1(0), 0);
    mask(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(poll(&pfd, 1, 5), 0);
    CHECK_EQ(atomic_load(&handled), 0);
    CHECK(interrupted(ppoll(&pfd, 1, NULL, &none)));
    CHECK_EQ(atomic_load(&handled), 1);
    raise(SIGUSR1);
    CHECK(interrupted(pselect(0, NULL, NULL, NULL, NULL, &none)));
    raise(SIGUSR1);
    CHECK(interrupted(epoll_pwait(ep, &event, 1, -1, &none)));
    CHECK_EQ(atomic_load(&handled), 3);
    pthread_t thread = send_later(SIGUSR1, 1);
    CHECK(interrupted(ppoll(&pfd, 1, NULL, &none)));
    pthread_join(thread, NULL);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 1);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(atomic_load(&handled), 4);
    CHECK_OK(close(ep));
    signal(SIGUSR1, SIG_DFL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static bool condition;

static void *signal_both(void *arg)
{
    send_soon(arg);
    pthread_mutex_lock(&mutex);
    condition = true;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *give_back(void *arg)
{
    sleep_ms(100);
    return arg;
}

TEST(signal_not_eintr, "Joining and waiting for a condition or a mutex never say EINTR.")
{
    struct timespec time;

    atomic_store(&handled, 0);
    set_handler(SIGUSR1, handle, 0);
    pthread_mutex_lock(&mutex);
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += 100;
    sender = (struct sender){pthread_self(), SIGUSR1, 1};
    pthread_t thread = start(signal_both, &sender);
    while (!condition)
        CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &time), 0);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&handled), 1);
    pthread_t other = start(give_back, NULL);
    thread = send_later(SIGUSR1, 1);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&handled), 2);
    signal(SIGUSR1, SIG_DFL);
}

/* --- Timers -------------------------------------------------------------------------------------
 */

TEST(signal_alarm, "alarm and setitimer send SIGALRM to a program that computes or sleeps.")
{
    struct itimerval value = {.it_value = {.tv_usec = 10000}, .it_interval = {.tv_usec = 5000}},
                     old;

    atomic_store(&handled, 0);
    set_handler(SIGALRM, handle, SA_RESTART);
    CHECK_EQ(alarm(100), 0);
    CHECK_OK(getitimer(ITIMER_REAL, &old));
    CHECK(old.it_value.tv_sec >= 90 && old.it_value.tv_sec <= 100);
    CHECK_GE(alarm(0), 90);
    CHECK_OK(getitimer(ITIMER_REAL, &old));
    CHECK_EQ(old.it_value.tv_sec + old.it_value.tv_usec, 0);
    CHECK_OK(setitimer(ITIMER_REAL, &value, NULL));
    while (atomic_load(&handled) < 3)
        ;
    CHECK_EQ(atomic_load(&last), SIGALRM);
    while (atomic_load(&handled) < 6)
        pause();
    CHECK_OK(setitimer(ITIMER_REAL, &(struct itimerval){0}, &old));
    CHECK_EQ(old.it_interval.tv_usec, 5000);
    value.it_value.tv_usec = 1000000;
    CHECK_FAILS(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
    CHECK_FAILS(setitimer(77, &(struct itimerval){0}, NULL), EINVAL);
    signal(SIGALRM, SIG_DFL);
}

TEST(signal_timer, "A POSIX timer sends its signal with its value.")
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77};
    struct itimerspec value = {.it_value = {.tv_nsec = 5000000},
                               .it_interval = {.tv_nsec = 5000000}},
                      now;
    timer_t timer;

    atomic_store(&handled, 0);
    set_info_handler(SIGUSR2, handle_info, 0);
    event.sigev_signo = 9999;
    CHECK_FAILS(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.sigev_signo = SIGUSR2;
    REQUIRE_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_gettime(timer, &now));
    CHECK_EQ(now.it_value.tv_sec + now.it_value.tv_nsec, 0);
    CHECK_OK(timer_settime(timer, 0, &value, NULL));
    wait_for_count(3);
    CHECK_EQ(last_info.si_code, SI_TIMER);
    CHECK_EQ(last_info.si_value.sival_int, 77);
    CHECK_GE(timer_getoverrun(timer), 0);
    clock_gettime(CLOCK_MONOTONIC, &value.it_value);
    value.it_interval.tv_nsec = 0;
    atomic_store(&handled, 0);
    CHECK_OK(timer_settime(timer, TIMER_ABSTIME, &value, &now));
    CHECK_EQ(now.it_interval.tv_nsec, 5000000);
    wait_for_count(1);
    value.it_value.tv_nsec = 1000000000;
    CHECK_FAILS(timer_settime(timer, 0, &value, NULL), EINVAL);
    CHECK_OK(timer_delete(timer));
    signal(SIGUSR2, SIG_DFL);
}

/* --- Faults -------------------------------------------------------------------------------------
 */

static atomic_int fault_code;
static void *volatile fault_address;

static void leave_fault(int sig, siginfo_t *info, void *context)
{
    CHECK_EQ(info->si_signo, sig);
    CHECK(((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] != 0);
    atomic_store(&fault_code, info->si_code);
    fault_address = info->si_addr;
    siglongjmp(back, sig);
}

static volatile int zero;
static volatile uintptr_t low_address = 8, far_address = 0xdead000000000000ul;

static void divide(void)
{
    zero = 1234 / zero;
}

static void read_nowhere(void)
{
    zero = *(volatile int *)low_address;
}

static void write_constant(void)
{
    static const int constant = 5;

    *(volatile int *)(uintptr_t)&constant = 6;
}

static void read_far(void)
{
    zero = *(volatile int *)far_address;
}

static void invalid(void)
{
    __asm__ volatile("ud2");
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static void divide_float(void)
{
    static const uint16_t control = 0x37f & ~4; /* division by zero is not masked */

    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(control));
}

static const struct {
    const char *name;
    void (*fn)(void);
    int sig, code;
    uintptr_t address;
} faults[] = {
    {"divide", divide, SIGFPE, FPE_INTDIV, 0},
    {"null", read_nowhere, SIGSEGV, SEGV_MAPERR, 8},
    {"constant", write_constant, SIGSEGV, SEGV_ACCERR, 0},
    {"non-canonical", read_far, SIGSEGV, SI_KERNEL, 0},
    {"ud2", invalid, SIGILL, ILL_ILLOPN, 0},
    {"int3", breakpoint, SIGTRAP, SI_KERNEL, 0},
    {"float", divide_float, SIGFPE, FPE_FLTDIV, 0},
};

TEST(signal_faults, "A fault is a signal that says what and where; siglongjmp leads on.")
{
    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        set_info_handler(faults[i].sig, leave_fault, 0);
        for (volatile int times = 0; times < 2; times++) {
            atomic_store(&fault_code, -1);
            int sig = sigsetjmp(back, 1);
            if (sig == 0)
                faults[i].fn();
            __asm__ volatile("fninit");
            if (sig != faults[i].sig || atomic_load(&fault_code) != faults[i].code)
                FAIL("%s: signal %d code %d", faults[i].name, sig, atomic_load(&fault_code));
            if (faults[i].address != 0)
                CHECK_EQ((uintptr_t)fault_address, faults[i].address);
        }
        signal(faults[i].sig, SIG_DFL);
    }
}

static uint64_t page[1024] __attribute__((aligned(4096)));

/* Goes on behind the two bytes of ud2, with another result. */
static void skip(int sig, siginfo_t *info, void *context)
{
    ucontext_t *c = context;

    (void)sig;
    CHECK_EQ((uintptr_t)info->si_addr, c->uc_mcontext.gregs[REG_RIP]);
    c->uc_mcontext.gregs[REG_RIP] += 2;
    c->uc_mcontext.gregs[REG_RAX] += 1;
    page[0] = (uint64_t)(1.0 + (double)page[0]); /* uses SSE registers */
}

TEST(signal_fault_resumes, "A handler returns to where the fault was, registers as it leaves them.")
{
    uint64_t a = 41, b = 7;
    double x = 1.25;

    set_info_handler(SIGILL, skip, 0);
    for (int i = 0; i < 100; i++) {
        a = 41;
        __asm__ volatile("movq %[b], %%xmm7\n\t"
                         "ud2\n\t"
                         "movq %%xmm7, %[b]"
                         : "+a"(a), [b] "+r"(b)
                         :
                         : "xmm7", "cc");
        CHECK_EQ(a, 42);
        CHECK_EQ(b, 7);
        x += 0.25;
    }
    CHECK(x == 26.25);
    CHECK_EQ(page[0], 100);
    signal(SIGILL, SIG_DFL);
}

static volatile bool deep = true;

static int overflow(volatile char *outer)
{
    volatile char block[1000];

    block[0] = outer[0];
    return deep ? overflow(block) + block[0] : 0;
}

static void *overflow_thread(void *unused)
{
    stack_t stack = {.ss_sp = malloc(SIGSTKSZ), .ss_size = SIGSTKSZ};
    char c = 0;

    CHECK_OK(sigaltstack(&stack, NULL));
    if (sigsetjmp(back, 1) == 0)
        overflow(&c);
    stack.ss_flags = SS_DISABLE;
    CHECK_OK(sigaltstack(&stack, NULL));
    free(stack.ss_sp);
    return unused;
}

TEST(signal_stack_overflow, "A stack overflow is SIGSEGV for a handler on an alternate stack.")
{
    pthread_t thread;

#ifdef __parvus__
    struct parvus_info system;

    parvus_info(&system);
    if (!system.fault_stack) /* the real Xen ends a domain without room for a fault's frame */
        return;
#endif
    set_info_handler(SIGSEGV, leave_fault, SA_ONSTACK);
    atomic_store(&fault_code, -1);
    REQUIRE_OK(pthread_create(&thread, NULL, overflow_thread, NULL));
    pthread_join(thread, NULL);
    CHECK(atomic_load(&fault_code) == SEGV_MAPERR || atomic_load(&fault_code) == SEGV_ACCERR);
    signal(SIGSEGV, SIG_DFL);
}

/* The signals come whenever they do: in the wait, before it, behind it. */
TEST(signal_jump_from_wait, "siglongjmp out of poll leaves nothing behind in what it waited for.")
{
    const struct itimerval every = {.it_value = {.tv_usec = 1000},
                                    .it_interval = {.tv_usec = 1000}};
    volatile int jumps = 0;
    struct pollfd pfd;
    int p[2];
    char c;

    REQUIRE_OK(pipe(p));
    pfd = (struct pollfd){.fd = p[0], .events = POLLIN};
    set_handler(SIGALRM, jump, 0);
    if (sigsetjmp(back, 1) != 0)
        jumps++;
    else
        CHECK_OK(setitimer(ITIMER_REAL, &every, NULL));
    if (jumps < 100)
        poll(&pfd, 1, -1);
    signal(SIGALRM, SIG_IGN);
    CHECK_OK(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
    CHECK_GE(jumps, 100);
    CHECK_EQ(write(p[1], "x", 1), 1); /* wakes whoever is on the list */
    CHECK_EQ(poll(&pfd, 1, -1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_OK(close(p[0]));
    CHECK_OK(close(p[1]));
    signal(SIGALRM, SIG_DFL);
}
