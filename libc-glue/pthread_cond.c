/*
 * Condition variables: a number that each signal changes. Who read it with the mutex held and finds
 * it changed when going to sleep does not sleep.
 *
 * Ordinary calls from threads. A signal handler runs when the wait has the mutex again; the wait
 * then ends as if it had been signalled. Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include "libc-glue/deadline.h"
#include "libc-glue/pthread.h"

/* All of a recursive mutex is given up, as glibc does: one level would be held on. */
static int wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_ns)
{
    unsigned sequence = __atomic_load_n(&c->__sequence, __ATOMIC_RELAXED), depth = m->__depth;

    m->__depth = 0;
    int error = pthread_mutex_unlock(m);
    if (error != 0) {
        m->__depth = depth;
        return error;
    }
    error = pthread_sleep_interruptible(&c->__waiters, &c->__sequence, sequence, deadline_ns);
    pthread_mutex_lock(m);
    m->__depth = depth;
    if (error == -EINTR)
        thread_serve_interrupt(); /* may be a cancellation */
    return error == -ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return wait_until(c, m, DEADLINE_NEVER);
}

int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
                           const struct timespec *abstime)
{
    uint64_t deadline_ns;

    return deadline_at(clock, abstime, &deadline_ns) != 0 ? EINVAL : wait_until(c, m, deadline_ns);
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *abstime)
{
    return pthread_cond_clockwait(c, m, c->__is_monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME,
                                  abstime);
}

static void signal_threads(pthread_cond_t *c, unsigned count)
{
    __atomic_fetch_add(&c->__sequence, 1, __ATOMIC_RELAXED);
    pthread_wake(&c->__waiters, count); /* orders the change before the look at who sleeps */
}

int pthread_cond_signal(pthread_cond_t *c)
{
    signal_threads(c, 1);
    return 0;
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
    signal_threads(c, PTHREAD_WAKE_ALL);
    return 0;
}

int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
    *c = (pthread_cond_t){.__is_monotonic = attr != NULL && attr->__is_monotonic};
    return 0;
}

int pthread_cond_destroy(pthread_cond_t *c)
{
    (void)c;
    return 0;
}

/* --- Attributes ------------------------------------------------------------------------------- */

int pthread_condattr_init(pthread_condattr_t *attr)
{
    *attr = (pthread_condattr_t){0};
    return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attr)
{
    (void)attr;
    return 0;
}

int pthread_condattr_getclock(const pthread_condattr_t *attr, clockid_t *clock)
{
    *clock = attr->__is_monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    attr->__is_monotonic = clock == CLOCK_MONOTONIC;
    return 0;
}

int pthread_condattr_getpshared(const pthread_condattr_t *attr, int *pshared)
{
    *pshared = attr->__pshared;
    return 0;
}

int pthread_condattr_setpshared(pthread_condattr_t *attr, int pshared)
{
    if (pshared != PTHREAD_PROCESS_PRIVATE && pshared != PTHREAD_PROCESS_SHARED)
        return EINVAL;
    attr->__pshared = pshared;
    return 0;
}
