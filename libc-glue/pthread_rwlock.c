/*
 * Read-write locks: a count of readers, or one writer. Readers do not wait for writers that wait:
 * a thread may lock for reading twice.
 *
 * Ordinary calls from threads. Locking sleeps; a signal meanwhile waits. Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include <stddef.h>

#include "libc-glue/deadline.h"
#include "libc-glue/pthread.h"

#define WRITER 0x80000000u /* __state: a writer has it; else how many readers */

static unsigned long me(void)
{
    return (unsigned long)&pthread_own;
}

static unsigned state_of(const pthread_rwlock_t *l)
{
    return __atomic_load_n(&l->__state, __ATOMIC_RELAXED);
}

/* Acquire pairs with the releases of pthread_rwlock_unlock. */
static bool exchange(pthread_rwlock_t *l, unsigned from, unsigned to)
{
    return __atomic_compare_exchange_n(&l->__state, &from, to, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
    for (;;) {
        unsigned state = state_of(l);

        if (state == WRITER)
            return EBUSY;
        if (state == WRITER - 1)
            return EAGAIN;
        if (exchange(l, state, state + 1))
            return 0;
    }
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
    if (!exchange(l, 0, WRITER))
        return EBUSY;
    l->__writer = me();
    return 0;
}

static int lock(pthread_rwlock_t *l, int (*try)(pthread_rwlock_t *), void **waiters,
                clockid_t clock, const struct timespec *abstime)
{
    uint64_t deadline_ns;

    if (deadline_at(clock, abstime, &deadline_ns) != 0)
        return EINVAL;
    int error = try(l);
    if (error != EBUSY)
        return error;
    if (l->__writer == me())
        return EDEADLK;
    for (;;) {
        unsigned state = state_of(l);

        error = try(l);
        if (error != EBUSY)
            return error;
        if (pthread_sleep(waiters, &l->__state, state, deadline_ns) == -ETIMEDOUT)
            return ETIMEDOUT;
    }
}

int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
    return pthread_rwlock_timedrdlock(l, NULL);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *l, const struct timespec *abstime)
{
    return pthread_rwlock_clockrdlock(l, CLOCK_REALTIME, abstime);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *l, clockid_t clock, const struct timespec *abstime)
{
    return lock(l, pthread_rwlock_tryrdlock, &l->__readers_waiting, clock, abstime);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
    return pthread_rwlock_timedwrlock(l, NULL);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *l, const struct timespec *abstime)
{
    return pthread_rwlock_clockwrlock(l, CLOCK_REALTIME, abstime);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *l, clockid_t clock, const struct timespec *abstime)
{
    return lock(l, pthread_rwlock_trywrlock, &l->__writers_waiting, clock, abstime);
}

int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
    if (state_of(l) == WRITER) {
        l->__writer = 0;
        __atomic_store_n(&l->__state, 0, __ATOMIC_RELEASE);
        pthread_wake(&l->__readers_waiting, PTHREAD_WAKE_ALL);
    } else if (__atomic_fetch_sub(&l->__state, 1, __ATOMIC_RELEASE) != 1) {
        return 0;
    }
    pthread_wake(&l->__writers_waiting, 1);
    return 0;
}

int pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *attr)
{
    (void)attr;
    *l = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
    return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *l)
{
    return state_of(l) != 0 ? EBUSY : 0;
}

int pthread_rwlockattr_init(pthread_rwlockattr_t *attr)
{
    *attr = (pthread_rwlockattr_t){0};
    return 0;
}

int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attr)
{
    (void)attr;
    return 0;
}

int pthread_rwlockattr_getpshared(const pthread_rwlockattr_t *attr, int *pshared)
{
    *pshared = attr->__pshared;
    return 0;
}

int pthread_rwlockattr_setpshared(pthread_rwlockattr_t *attr, int pshared)
{
    if (pshared != PTHREAD_PROCESS_PRIVATE && pshared != PTHREAD_PROCESS_SHARED)
        return EINVAL;
    attr->__pshared = pshared;
    return 0;
}
