/*
 * Timers that send signals: alarm, setitimer's ITIMER_REAL, POSIX timers.
 *
 * Ordinary calls from threads; a timer that is over calls expired in event context. Lock:
 * timers_lock protects all timers; it is taken before signal_lock. Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kernel/timer.h"
#include "libc-glue/deadline.h"
#include "libc-glue/glue.h"
#include "libc-glue/signal.h"

#define MAX_TIMERS 32
#define ALARM (&timers[0]) /* the one of alarm and setitimer */

static struct spinlock timers_lock;
static struct signal_timer {
    struct timer timer;
    uint64_t deadline_ns, interval_ns; /* deadline: while timer.armed */
    bool in_use, is_silent;
    clockid_t clock;
    siginfo_t info;
} timers[MAX_TIMERS];

/* Event context. A signal that is pending still is counted (timer_getoverrun). */
static void expired(void *arg)
{
    struct signal_timer *t = arg;
    bool unmask = spin_lock(&timers_lock);

    if (t->interval_ns != 0) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t missed = now_ns > t->deadline_ns ? (now_ns - t->deadline_ns) / t->interval_ns : 0;
        t->info.si_overrun = (int)missed;
        t->deadline_ns += (missed + 1) * t->interval_ns;
        timer_set(&t->timer, t->deadline_ns, expired, t);
    }
    if (!t->is_silent)
        signal_send(NULL, &t->info, true);
    spin_unlock(&timers_lock, unmask);
}

/* timers_lock held. What is left and the interval so far; value_ns 0: stops it. */
static void set(struct signal_timer *t, uint64_t deadline_ns, uint64_t interval_ns)
{
    timer_cancel(&t->timer);
    t->interval_ns = interval_ns;
    t->deadline_ns = deadline_ns;
    if (deadline_ns != 0)
        timer_set(&t->timer, deadline_ns, expired, t);
}

static uint64_t left_ns(const struct signal_timer *t)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (!t->timer.armed)
        return 0;
    return t->deadline_ns > now_ns ? t->deadline_ns - now_ns : 1;
}

/* --- alarm, setitimer ------------------------------------------------------------------------- */

static struct timeval timeval_from_ns(uint64_t ns)
{
    uint64_t us = (ns + NS_PER_US - 1) / NS_PER_US; /* what is left is never nothing */

    return (struct timeval){(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
}

static int ns_from_timeval(const struct timeval *t, uint64_t *out_ns)
{
    struct timespec time = {t->tv_sec, t->tv_usec * 1000};

    return t->tv_usec < 0 || t->tv_usec >= 1000000 ? -EINVAL : ns_from_timespec(&time, out_ns);
}

static struct itimerval alarm_setting(void)
{
    return (struct itimerval){.it_value = timeval_from_ns(left_ns(ALARM)),
                              .it_interval = timeval_from_ns(ALARM->interval_ns)};
}

int setitimer(int which, const struct itimerval *restrict value, struct itimerval *restrict old)
{
    uint64_t value_ns, interval_ns;

    if (which != ITIMER_REAL || ns_from_timeval(&value->it_value, &value_ns) != 0 ||
        ns_from_timeval(&value->it_interval, &interval_ns) != 0)
        return (int)glue_result(-EINVAL);
    pthread_here();
    bool unmask = spin_lock(&timers_lock);
    struct itimerval before = alarm_setting();
    ALARM->info = (siginfo_t){.si_signo = SIGALRM, .si_code = SI_KERNEL};
    set(ALARM, value_ns != 0 ? deadline_after_ns(value_ns) : 0, interval_ns);
    spin_unlock(&timers_lock, unmask);
    if (old != NULL)
        *old = before;
    return 0;
}

int getitimer(int which, struct itimerval *value)
{
    if (which != ITIMER_REAL)
        return (int)glue_result(-EINVAL);
    bool unmask = spin_lock(&timers_lock);
    *value = alarm_setting();
    spin_unlock(&timers_lock, unmask);
    return 0;
}

unsigned alarm(unsigned seconds)
{
    struct itimerval value = {.it_value = {.tv_sec = (time_t)seconds}}, old;

    setitimer(ITIMER_REAL, &value, &old);
    return (unsigned)old.it_value.tv_sec +
           (old.it_value.tv_usec >= 500000 || (old.it_value.tv_sec == 0 && old.it_value.tv_usec));
}

useconds_t ualarm(useconds_t us, useconds_t interval_us)
{
    struct itimerval value = {{(time_t)(interval_us / 1000000), (long)(interval_us % 1000000)},
                              {(time_t)(us / 1000000), (long)(us % 1000000)}},
                     old;

    setitimer(ITIMER_REAL, &value, &old);
    return (useconds_t)(old.it_value.tv_sec * 1000000 + old.it_value.tv_usec);
}

/* --- POSIX timers ----------------------------------------------------------------------------- */

int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict out)
{
    struct sigevent by_default = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    unsigned n = 1;

    if (event == NULL)
        event = &by_default;
    if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) ||
        (event->sigev_notify == SIGEV_SIGNAL && !signal_is_valid(event->sigev_signo)))
        return (int)glue_result(-EINVAL);
    if (event->sigev_notify != SIGEV_SIGNAL && event->sigev_notify != SIGEV_NONE)
        return (int)glue_result(event->sigev_notify == SIGEV_THREAD ? -ENOTSUP : -EINVAL);
    pthread_here();
    bool unmask = spin_lock(&timers_lock);
    while (n < MAX_TIMERS && timers[n].in_use)
        n++;
    if (n < MAX_TIMERS) {
        timers[n] = (struct signal_timer){
            .in_use = true,
            .is_silent = event->sigev_notify == SIGEV_NONE,
            .clock = clock,
            .info = {.si_signo = event->sigev_signo,
                     .si_code = SI_TIMER,
                     .si_value = event->sigev_value},
        };
        if (event == &by_default)
            timers[n].info.si_value.sival_int = (int)n;
        *out = n;
    }
    spin_unlock(&timers_lock, unmask);
    return (int)glue_result(n < MAX_TIMERS ? 0 : -EAGAIN);
}

/* timers_lock held. NULL: there is none. */
static struct signal_timer *timer_of(timer_t id)
{
    return id > 0 && id < MAX_TIMERS && timers[id].in_use ? &timers[id] : NULL;
}

int timer_delete(timer_t id)
{
    bool unmask = spin_lock(&timers_lock);
    struct signal_timer *t = timer_of(id);

    if (t != NULL) {
        timer_cancel(&t->timer);
        t->in_use = false;
    }
    spin_unlock(&timers_lock, unmask);
    return (int)glue_result(t != NULL ? 0 : -EINVAL);
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};
}

static struct itimerspec setting_of(const struct signal_timer *t)
{
    return (struct itimerspec){.it_value = timespec_of(left_ns(t)),
                               .it_interval = timespec_of(t->interval_ns)};
}

int timer_settime(timer_t id, int flags, const struct itimerspec *restrict value,
                  struct itimerspec *restrict old)
{
    uint64_t value_ns, interval_ns, deadline_ns = 0;

    if (ns_from_timespec(&value->it_value, &value_ns) != 0 ||
        ns_from_timespec(&value->it_interval, &interval_ns) != 0)
        return (int)glue_result(-EINVAL);
    bool unmask = spin_lock(&timers_lock);
    struct signal_timer *t = timer_of(id);
    if (t != NULL) {
        if (value_ns != 0 && (flags & TIMER_ABSTIME) == 0)
            deadline_ns = deadline_after_ns(value_ns);
        else if (value_ns != 0)
            deadline_at(t->clock == CLOCK_REALTIME ? t->clock : CLOCK_MONOTONIC, &value->it_value,
                        &deadline_ns);
        if (value_ns != 0 && deadline_ns == 0)
            deadline_ns = 1; /* long past */
        if (old != NULL)
            *old = setting_of(t);
        t->info.si_overrun = 0;
        set(t, deadline_ns, interval_ns);
    }
    spin_unlock(&timers_lock, unmask);
    return (int)glue_result(t != NULL ? 0 : -EINVAL);
}

int timer_gettime(timer_t id, struct itimerspec *value)
{
    bool unmask = spin_lock(&timers_lock);
    struct signal_timer *t = timer_of(id);

    if (t != NULL)
        *value = setting_of(t);
    spin_unlock(&timers_lock, unmask);
    return (int)glue_result(t != NULL ? 0 : -EINVAL);
}

int timer_getoverrun(timer_t id)
{
    bool unmask = spin_lock(&timers_lock);
    struct signal_timer *t = timer_of(id);
    int overrun = t != NULL ? t->info.si_overrun : -EINVAL;

    spin_unlock(&timers_lock, unmask);
    return (int)glue_result(overrun);
}
