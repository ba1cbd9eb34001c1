/*
 * Mutexes. One that nobody waits for costs one locked instruction each way.
 *
 * Ordinary calls from threads. Locking sleeps; a signal meanwhile waits until the mutex is ours.
 * Source: POSIX.1-2017; the three states are those of U. Drepper, "Futexes Are Tricky", mutex2.
 */
#define _GNU_SOURCE
#include "libc-glue/deadline.h"
#include "libc-glue/pthread.h"

enum { FREE, LOCKED, CONTENDED }; /* __state; CONTENDED: unlocking must wake somebody */

/* Cheaper than pthread_self, and as good. */
static inline unsigned long me(void)
{
    return (unsigned long)&pthread_own;
}

static inline bool exchange(pthread_mutex_t *m, unsigned from, unsigned to)
{
    return __atomic_compare_exchange_n(&m->__state, &from, to, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline int ours_now(pthread_mutex_t *m)
{
    if (m->__type != PTHREAD_MUTEX_NORMAL)
        m->__owner = me();
    return 0;
}

static bool is_ours(const pthread_mutex_t *m)
{
    return m->__type != PTHREAD_MUTEX_NORMAL && m->__owner == me();
}

/* Of a mutex that is ours. */
static int lock_again(pthread_mutex_t *m)
{
    if (m->__type == PTHREAD_MUTEX_ERRORCHECK)
        return EDEADLK;
    if (m->__depth == UINT32_MAX)
        return EAGAIN;
    m->__depth++;
    return 0;
}

static int lock_slowly(pthread_mutex_t *m, clockid_t clock, const struct timespec *abstime)
{
    uint64_t deadline_ns;

    if (is_ours(m))
        return lock_again(m);
    if (deadline_at(clock, abstime, &deadline_ns) != 0)
        return EINVAL;
    /* Acquire pairs with the release of pthread_mutex_unlock. */
    while (__atomic_exchange_n(&m->__state, CONTENDED, __ATOMIC_ACQUIRE) != FREE)
        if (pthread_sleep(&m->__waiters, &m->__state, CONTENDED, deadline_ns) == -ETIMEDOUT)
            return ETIMEDOUT;
    return ours_now(m);
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
    return exchange(m, FREE, LOCKED) ? ours_now(m) : lock_slowly(m, CLOCK_REALTIME, NULL);
}

int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, const struct timespec *abstime)
{
    return exchange(m, FREE, LOCKED) ? ours_now(m) : lock_slowly(m, clock, abstime);
}

int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *abstime)
{
    return pthread_mutex_clocklock(m, CLOCK_REALTIME, abstime);
}

int pthread_mutex_trylock(pthread_mutex_t *m)
{
    if (exchange(m, FREE, LOCKED))
        return ours_now(m);
    return is_ours(m) && m->__type == PTHREAD_MUTEX_RECURSIVE ? lock_again(m) : EBUSY;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (m->__type != PTHREAD_MUTEX_NORMAL) {
        if (m->__owner != me())
            return EPERM;
        if (m->__depth != 0) {
            m->__depth--;
            return 0;
        }
        m->__owner = 0;
    }
    if (__atomic_exchange_n(&m->__state, FREE, __ATOMIC_RELEASE) == CONTENDED)
        pthread_wake(&m->__waiters, 1);
    return 0;
}

int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
    *m = (pthread_mutex_t){.__type = attr != NULL ? attr->__type : PTHREAD_MUTEX_DEFAULT};
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *m)
{
    return __atomic_load_n(&m->__state, __ATOMIC_RELAXED) != FREE ? EBUSY : 0;
}

/* --- Attributes ------------------------------------------------------------------------------- */

int pthread_mutexattr_init(pthread_mutexattr_t *attr)
{
    *attr = (pthread_mutexattr_t){.__type = PTHREAD_MUTEX_DEFAULT};
    return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attr)
{
    (void)attr;
    return 0;
}

int pthread_mutexattr_gettype(const pthread_mutexattr_t *attr, int *type)
{
    *type = attr->__type;
    return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type)
{
    if (type < PTHREAD_MUTEX_NORMAL || type > PTHREAD_MUTEX_ERRORCHECK)
        return EINVAL;
    attr->__type = type;
    return 0;
}

int pthread_mutexattr_getpshared(const pthread_mutexattr_t *attr, int *pshared)
{
    *pshared = attr->__pshared;
    return 0;
}

int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr, int pshared)
{
    if (pshared != PTHREAD_PROCESS_PRIVATE && pshared != PTHREAD_PROCESS_SHARED)
        return EINVAL;
    attr->__pshared = pshared;
    return 0;
}

int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *attr, int *protocol)
{
    (void)attr;
    *protocol = PTHREAD_PRIO_NONE;
    return 0;
}

int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attr, int protocol)
{
    (void)attr;
    if (protocol == PTHREAD_PRIO_INHERIT || protocol == PTHREAD_PRIO_PROTECT)
        return ENOTSUP;
    return protocol == PTHREAD_PRIO_NONE ? 0 : EINVAL;
}

int pthread_mutexattr_getrobust(const pthread_mutexattr_t *attr, int *robust)
{
    (void)attr;
    *robust = PTHREAD_MUTEX_STALLED;
    return 0;
}

int pthread_mutexattr_setrobust(pthread_mutexattr_t *attr, int robust)
{
    (void)attr;
    if (robust == PTHREAD_MUTEX_ROBUST)
        return ENOTSUP;
    return robust == PTHREAD_MUTEX_STALLED ? 0 : EINVAL;
}
