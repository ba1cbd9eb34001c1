/*
 * Initialisation that happens once, barriers, spin locks.
 *
 * Ordinary calls from threads; all may sleep or yield. Source: POSIX.1-2017.
 */
#include <stddef.h>

#include "libc-glue/deadline.h"
#include "libc-glue/pthread.h"

/* --- Once ------------------------------------------------------------------------------------- */

enum { ONCE_NOT_YET, ONCE_RUNNING, ONCE_DONE }; /* __state */

static void once_ends(pthread_once_t *once, unsigned state)
{
    /* Release pairs with the acquires of pthread_once: they see what init did. */
    __atomic_store_n(&once->__state, state, __ATOMIC_RELEASE);
    pthread_wake(&once->__waiters, PTHREAD_WAKE_ALL);
}

/* A cancelled init has not happened. */
static void once_cancelled(void *once)
{
    once_ends(once, ONCE_NOT_YET);
}

int pthread_once(pthread_once_t *once, void (*init)(void))
{
    unsigned state;

    while ((state = __atomic_load_n(&once->__state, __ATOMIC_ACQUIRE)) != ONCE_DONE) {
        if (state == ONCE_RUNNING) {
            pthread_sleep(&once->__waiters, &once->__state, ONCE_RUNNING, DEADLINE_NEVER);
        } else if (__atomic_compare_exchange_n(&once->__state, &state, ONCE_RUNNING, false,
                                               __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            pthread_cleanup_push(once_cancelled, once);
            init();
            pthread_cleanup_pop(0);
            once_ends(once, ONCE_DONE);
            return 0;
        }
    }
    return 0;
}

/* --- Barriers --------------------------------------------------------------------------------- */

int pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *attr, unsigned count)
{
    (void)attr;
    if (count == 0)
        return EINVAL;
    *b = (pthread_barrier_t){.__count = count, .__left = count};
    return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *b)
{
    return b->__left != b->__count ? EBUSY : 0;
}

/* The last one begins the next round before it wakes the others, who wait for the round to change.
 */
int pthread_barrier_wait(pthread_barrier_t *b)
{
    unsigned round = __atomic_load_n(&b->__round, __ATOMIC_RELAXED);

    if (__atomic_sub_fetch(&b->__left, 1, __ATOMIC_ACQ_REL) == 0) {
        b->__left = b->__count;
        __atomic_store_n(&b->__round, round + 1, __ATOMIC_RELEASE);
        pthread_wake(&b->__waiters, PTHREAD_WAKE_ALL);
        return PTHREAD_BARRIER_SERIAL_THREAD;
    }
    while (__atomic_load_n(&b->__round, __ATOMIC_ACQUIRE) == round)
        pthread_sleep(&b->__waiters, &b->__round, round, DEADLINE_NEVER);
    return 0;
}

int pthread_barrierattr_init(pthread_barrierattr_t *attr)
{
    *attr = (pthread_barrierattr_t){0};
    return 0;
}

int pthread_barrierattr_destroy(pthread_barrierattr_t *attr)
{
    (void)attr;
    return 0;
}

int pthread_barrierattr_getpshared(const pthread_barrierattr_t *attr, int *pshared)
{
    *pshared = attr->__pshared;
    return 0;
}

int pthread_barrierattr_setpshared(pthread_barrierattr_t *attr, int pshared)
{
    if (pshared != PTHREAD_PROCESS_PRIVATE && pshared != PTHREAD_PROCESS_SHARED)
        return EINVAL;
    attr->__pshared = pshared;
    return 0;
}

/* --- Spin locks: whoever has one may have been preempted, so waiting gives it the processor ------
 */

int pthread_spin_init(pthread_spinlock_t *lock, int pshared)
{
    (void)pshared;
    *lock = 0;
    return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *lock)
{
    (void)lock;
    return 0;
}

int pthread_spin_trylock(pthread_spinlock_t *lock)
{
    return __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0 ? EBUSY : 0;
}

int pthread_spin_lock(pthread_spinlock_t *lock)
{
    while (pthread_spin_trylock(lock) != 0)
        thread_yield();
    return 0;
}

int pthread_spin_unlock(pthread_spinlock_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE); /* pairs with pthread_spin_trylock */
    return 0;
}
