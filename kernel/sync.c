/*
 * Mutexes, condition variables, semaphores.
 *
 * Callers: threads; semaphore_post also event handlers. Ring 3. Lock: sched_lock, which protects
 * the contents of all of them. A released mutex is handed to the first waiter directly, so nobody
 * overtakes it.
 */
#include "kernel/sync.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/sched.h"

void mutex_init(struct mutex *m)
{
    *m = (struct mutex)MUTEX_INIT;
}

void mutex_init_recursive(struct mutex *m)
{
    *m = (struct mutex)MUTEX_INIT_RECURSIVE;
}

bool mutex_is_mine(const struct mutex *m)
{
    return m->owner == thread_self();
}

/* sched_lock held. 0: ours now; -EBUSY: another's; -EDEADLK: ours already, not recursive. */
static int take(struct mutex *m)
{
    struct thread *self = thread_self();

    if (!m->owner) {
        m->owner = self;
        return 0;
    }
    if (m->owner != self)
        return -EBUSY;
    if (!m->recursive)
        return -EDEADLK;
    if (m->depth == UINT32_MAX)
        return -EAGAIN;
    m->depth++;
    return 0;
}

/* sched_lock held, the mutex is ours. Whoever waits first owns it when it wakes. */
static void hand_over(struct mutex *m)
{
    m->depth = 0;
    m->owner = sched_wake_first(&m->waiters, 0);
}

int mutex_timedlock(struct mutex *m, uint64_t deadline_ns)
{
    bool unmask = spin_lock(&sched_lock);
    int error = take(m);

    if (error == -EBUSY)
        error = sched_wait(&m->waiters, deadline_ns);
    sched_unlock(unmask);
    return error;
}

int mutex_lock(struct mutex *m)
{
    return mutex_timedlock(m, SCHED_FOREVER);
}

int mutex_trylock(struct mutex *m)
{
    bool unmask = spin_lock(&sched_lock);
    int error = take(m);

    sched_unlock(unmask);
    return error == -EDEADLK ? -EBUSY : error;
}

int mutex_unlock(struct mutex *m)
{
    bool unmask = spin_lock(&sched_lock);
    int error = 0;

    if (m->owner != thread_self())
        error = -EPERM;
    else if (m->depth)
        m->depth--;
    else
        hand_over(m);
    sched_unlock(unmask);
    return error;
}

void cond_init(struct cond *c)
{
    *c = (struct cond)COND_INIT;
}

int cond_timedwait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
    struct thread *self = thread_self();
    bool unmask = spin_lock(&sched_lock);

    if (m->owner != self) {
        sched_unlock(unmask);
        return -EPERM;
    }
    uint32_t depth = m->depth;
    hand_over(m);
    int result = sched_wait(&c->waiters, deadline_ns);
    if (take(m))
        sched_wait(&m->waiters, SCHED_FOREVER);
    m->depth = depth;
    sched_unlock(unmask);
    return result;
}

int cond_wait(struct cond *c, struct mutex *m)
{
    return cond_timedwait(c, m, SCHED_FOREVER);
}

void cond_signal(struct cond *c)
{
    bool unmask = spin_lock(&sched_lock);

    sched_wake_first(&c->waiters, 0);
    sched_unlock(unmask);
}

void cond_broadcast(struct cond *c)
{
    bool unmask = spin_lock(&sched_lock);

    while (sched_wake_first(&c->waiters, 0))
        ;
    sched_unlock(unmask);
}

void semaphore_init(struct semaphore *s, uint32_t count)
{
    *s = (struct semaphore)SEMAPHORE_INIT(count);
}

int semaphore_timedwait(struct semaphore *s, uint64_t deadline_ns)
{
    bool unmask = spin_lock(&sched_lock);
    int result = 0;

    if (s->count)
        s->count--;
    else
        result = sched_wait(&s->waiters, deadline_ns);
    sched_unlock(unmask);
    return result;
}

void semaphore_wait(struct semaphore *s)
{
    semaphore_timedwait(s, SCHED_FOREVER);
}

int semaphore_trywait(struct semaphore *s)
{
    bool unmask = spin_lock(&sched_lock);
    int result = 0;

    if (s->count)
        s->count--;
    else
        result = -EAGAIN;
    sched_unlock(unmask);
    return result;
}

int semaphore_post(struct semaphore *s)
{
    bool unmask = spin_lock(&sched_lock);
    int result = 0;

    if (!sched_wake_first(&s->waiters, 0)) {
        if (s->count == UINT32_MAX)
            result = -EOVERFLOW;
        else
            s->count++;
    }
    sched_unlock(unmask);
    return result;
}
