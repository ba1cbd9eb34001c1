/*
 * Mutexes, condition variables and semaphores for threads.
 *
 * All-zero objects are valid and initialised. Waiters wake by priority, first come first among
 * equals. Deadlines are absolute clock_monotonic_ns() values; one in the past makes a timed call a
 * try. All may sleep except the try, signal and unlock calls; semaphore_post alone may also be
 * called from event handlers. A timed call returns -ETIMEDOUT when its deadline passes.
 */
#ifndef KERNEL_SYNC_H
#define KERNEL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct thread;

struct wait_queue {
    struct thread *first; /* highest priority first; linked through struct thread */
};

/*
 * For objects whose state is a word of their own. Sleeps, unless *word is no longer `expected`:
 * whoever changes it afterwards and calls wait_queue_wake finds the sleeper. 0: woken; -EAGAIN: it
 * was another already; -ETIMEDOUT; -EINTR if it may be interrupted (kernel/thread.h).
 */
int wait_queue_sleep(struct wait_queue *queue, const uint32_t *word, uint32_t expected,
                     uint64_t deadline_ns, bool interruptible);
/* Wakes the first `count`. Any context. */
void wait_queue_wake(struct wait_queue *queue, unsigned count);

struct mutex {
    uintptr_t state; /* free, or who has it: kernel/sync.c */
    uint32_t depth;  /* recursive mutexes: nested locks beyond the first */
    bool recursive;
    struct wait_queue waiters;
};
#define MUTEX_INIT                                                                                 \
    {                                                                                              \
        .recursive = false                                                                         \
    }
#define MUTEX_INIT_RECURSIVE                                                                       \
    {                                                                                              \
        .recursive = true                                                                          \
    }

void mutex_init(struct mutex *m);
void mutex_init_recursive(struct mutex *m);
int mutex_lock(struct mutex *m);                            /* -EDEADLK: already ours */
int mutex_trylock(struct mutex *m);                         /* -EBUSY */
int mutex_timedlock(struct mutex *m, uint64_t deadline_ns); /* -ETIMEDOUT, -EDEADLK */
int mutex_unlock(struct mutex *m);                          /* -EPERM: not ours */
bool mutex_is_mine(const struct mutex *m);

struct cond {
    struct wait_queue waiters;
};
#define COND_INIT                                                                                  \
    {                                                                                              \
        .waiters = { NULL }                                                                        \
    }

/* The mutex must be ours; it is ours again on return (whatever the result). A recursive mutex is
 * released fully and regains its depth. -EPERM: the mutex is not ours. */
void cond_init(struct cond *c);
int cond_wait(struct cond *c, struct mutex *m);
int cond_timedwait(struct cond *c, struct mutex *m, uint64_t deadline_ns);
int cond_wait_interruptible(struct cond *c, struct mutex *m, uint64_t deadline_ns); /* -EINTR */
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

struct semaphore {
    uint32_t count;
    struct wait_queue waiters;
};
#define SEMAPHORE_INIT(n)                                                                          \
    {                                                                                              \
        .count = (n)                                                                               \
    }

void semaphore_init(struct semaphore *s, uint32_t count);
void semaphore_wait(struct semaphore *s);
int semaphore_trywait(struct semaphore *s); /* -EAGAIN */
int semaphore_timedwait(struct semaphore *s, uint64_t deadline_ns);
int semaphore_wait_interruptible(struct semaphore *s, uint64_t deadline_ns); /* also -EINTR */
int semaphore_post(struct semaphore *s);                                     /* -EOVERFLOW */

#endif
