/*
 * Mutexes, condition variables, semaphores.
 *
 * Callers: threads; semaphore_post also event handlers. Ring 3. Lock: sched_lock, which protects
 * the contents of all of them, but for a mutex's state word: that changes by compare-and-exchange,
 * so that a mutex nobody waits for costs no more than that. A released mutex is handed to the first
 * waiter directly, so nobody overtakes it.
 */
#include "kernel/sync.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/sched.h"

/*
 * A mutex's state: its owner's address, plus this bit if the owner must look for waiters when it
 * unlocks. The bit is set and the mutex handed over with sched_lock held only.
 */
#define CONTENDED 1ul

int wait_queue_sleep(struct wait_queue *queue, const uint32_t *word, uint32_t expected,
                     uint64_t deadline_ns, bool interruptible)
{
    bool unmask = spin_lock(&sched_lock);
    int result = -EAGAIN;

    /* The lock orders this look and the sleep before or after a whole wait_queue_wake. */
    if (__atomic_load_n(word, __ATOMIC_RELAXED) == expected)
        result = interruptible ? sched_wait_interruptible(queue, deadline_ns)
                               : sched_wait(queue, deadline_ns);
    sched_unlock(unmask);
    return result;
}

void wait_queue_wake(struct wait_queue *queue, unsigned count)
{
    bool unmask = spin_lock(&sched_lock);

    while (count-- && sched_wake_first(queue, 0))
        ;
    sched_unlock(unmask);
}

void mutex_init(struct mutex *m)
{
    *m = (struct mutex)MUTEX_INIT;
}

void mutex_init_recursive(struct mutex *m)
{
    *m = (struct mutex)MUTEX_INIT_RECURSIVE;
}

/* Acquire pairs with the release of whoever unlocked; both ways are one locked instruction. */
static inline bool exchange(struct mutex *m, uintptr_t from, uintptr_t to)
{
    return __atomic_compare_exchange_n(&m->state, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static inline bool is_mine(const struct mutex *m, const struct thread *self)
{
    return (__atomic_load_n(&m->state, __ATOMIC_RELAXED) & ~CONTENDED) == (uintptr_t)self;
}

bool mutex_is_mine(const struct mutex *m)
{
    return is_mine(m, this_cpu()->current);
}

/* 0: ours now; -EBUSY: another's; -EDEADLK: ours already, not recursive; -EAGAIN: too deep. */
static inline int take(struct mutex *m)
{
    struct thread *self = this_cpu()->current;

    self->nr_held++; /* before: an event in between must find it */
    if (exchange(m, 0, (uintptr_t)self))
        return 0;
    self->nr_held--;
    if (!mutex_is_mine(m))
        return -EBUSY;
    if (!m->recursive)
        return -EDEADLK;
    if (m->depth == UINT32_MAX)
        return -EAGAIN;
    m->depth++;
    return 0;
}

/* sched_lock held. Takes it, or makes its owner look for us. */
static int take_or_contend(struct mutex *m)
{
    for (;;) {
        int error = take(m);
        uintptr_t state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);

        if (error != -EBUSY)
            return error;
        if (state && ((state & CONTENDED) || exchange(m, state, state | CONTENDED)))
            return -EBUSY;
    }
}

/* sched_lock held, the mutex is ours. Whoever waits first owns it when it wakes. */
static void hand_over(struct mutex *m)
{
    struct thread *next = sched_wake_first(&m->waiters, 0);

    m->depth = 0;
    __atomic_store_n(&m->state, (uintptr_t)next | (m->waiters.first ? CONTENDED : 0),
                     __ATOMIC_RELEASE);
    this_cpu()->current->nr_held--;
}

/* sched_lock held. Until somebody hands it over. */
static int wait_for(struct mutex *m, uint64_t deadline_ns)
{
    int error = sched_wait(&m->waiters, deadline_ns);

    if (error == 0)
        this_cpu()->current->nr_held++;
    return error;
}

__attribute__((noinline)) int mutex_timedlock(struct mutex *m, uint64_t deadline_ns)
{
    int error = take(m);

    if (error != -EBUSY)
        return error;
    bool unmask = spin_lock(&sched_lock);
    error = take_or_contend(m);
    if (error == -EBUSY)
        error = wait_for(m, deadline_ns);
    sched_unlock(unmask);
    return error;
}

/* The usual case first, and alone: it needs no registers saved. */
int mutex_lock(struct mutex *m)
{
    struct thread *self = this_cpu()->current;

    self->nr_held++; /* as in take() */
    if (exchange(m, 0, (uintptr_t)self))
        return 0;
    self->nr_held--;
    if (m->recursive && is_mine(m, self) && m->depth != UINT32_MAX) {
        m->depth++;
        return 0;
    }
    return mutex_timedlock(m, SCHED_FOREVER);
}

int mutex_trylock(struct mutex *m)
{
    int error = take(m);

    return error == -EDEADLK ? -EBUSY : error;
}

static __attribute__((noinline)) int unlock_contended(struct mutex *m)
{
    if (!mutex_is_mine(m))
        return -EPERM;
    bool unmask = spin_lock(&sched_lock);
    hand_over(m);
    sched_unlock(unmask);
    return 0;
}

int mutex_unlock(struct mutex *m)
{
    struct thread *self = this_cpu()->current;

    if (m->depth == 0 && exchange(m, (uintptr_t)self, 0)) {
        self->nr_held--;
        return 0;
    }
    if (m->depth && is_mine(m, self)) {
        m->depth--;
        return 0;
    }
    return unlock_contended(m);
}

void cond_init(struct cond *c)
{
    *c = (struct cond)COND_INIT;
}

static int wait_for_signal(struct cond *c, struct mutex *m, uint64_t deadline_ns,
                           int (*wait)(struct wait_queue *, uint64_t))
{
    if (!mutex_is_mine(m))
        return -EPERM;
    bool unmask = spin_lock(&sched_lock);
    uint32_t depth = m->depth;
    hand_over(m);
    int result = wait(&c->waiters, deadline_ns);
    if (take_or_contend(m))
        wait_for(m, SCHED_FOREVER);
    m->depth = depth;
    sched_unlock(unmask);
    return result;
}

int cond_timedwait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
    return wait_for_signal(c, m, deadline_ns, sched_wait);
}

int cond_wait_interruptible(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
    return wait_for_signal(c, m, deadline_ns, sched_wait_interruptible);
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

int semaphore_wait_interruptible(struct semaphore *s, uint64_t deadline_ns)
{
    bool unmask = spin_lock(&sched_lock);
    int result = 0;

    if (s->count)
        s->count--;
    else
        result = sched_wait_interruptible(&s->waiters, deadline_ns);
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
