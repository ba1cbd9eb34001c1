/*
 * POSIX semaphores: unnamed ones (named: semaphore_name.c).
 *
 * Ordinary calls from threads; waiting sleeps. sem_post may be called from signal handlers.
 * Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include <semaphore.h>
#include <stddef.h>

#include "libc-glue/deadline.h"
#include "libc-glue/glue.h"
#include "libc-glue/pthread.h"

int sem_init(sem_t *sem, int pshared, unsigned value)
{
    (void)pshared;
    if (value > SEM_VALUE_MAX)
        return (int)glue_result(-EINVAL);
    *sem = (sem_t){.__value = value};
    return 0;
}

int sem_destroy(sem_t *sem)
{
    (void)sem;
    return 0;
}

/* -EAGAIN: it is 0. Acquire pairs with sem_post's release. */
static int take(sem_t *sem)
{
    unsigned value = __atomic_load_n(&sem->__value, __ATOMIC_RELAXED);

    while (value != 0)
        if (__atomic_compare_exchange_n(&sem->__value, &value, value - 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return 0;
    return -EAGAIN;
}

static int wait_until(sem_t *sem, uint64_t deadline_ns)
{
    int error = 0;

    while (take(sem) != 0) {
        error = pthread_sleep_interruptible(&sem->__waiters, &sem->__value, 0, deadline_ns);
        bool restarts = error == -EINTR && thread_serve_interrupt() &&
                        deadline_ns == DEADLINE_NEVER; /* a timed wait never (Linux's signal(7)) */
        if (error == -ETIMEDOUT || (error == -EINTR && !restarts))
            return error;
    }
    return 0;
}

int sem_wait(sem_t *sem)
{
    return (int)glue_result(wait_until(sem, DEADLINE_NEVER));
}

int sem_trywait(sem_t *sem)
{
    return (int)glue_result(take(sem));
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *abstime)
{
    uint64_t deadline_ns;
    int error = deadline_at(clock, abstime, &deadline_ns);

    return (int)glue_result(error != 0 ? error : wait_until(sem, deadline_ns));
}

int sem_timedwait(sem_t *sem, const struct timespec *abstime)
{
    return sem_clockwait(sem, CLOCK_REALTIME, abstime);
}

int sem_post(sem_t *sem)
{
    unsigned value = __atomic_load_n(&sem->__value, __ATOMIC_RELAXED);

    do {
        if (value == SEM_VALUE_MAX)
            return (int)glue_result(-EOVERFLOW);
    } while (!__atomic_compare_exchange_n(&sem->__value, &value, value + 1, false, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    pthread_wake(&sem->__waiters, 1);
    return 0;
}

int sem_getvalue(sem_t *sem, int *value)
{
    *value = (int)__atomic_load_n(&sem->__value, __ATOMIC_RELAXED);
    return 0;
}
