/*
 * What the files of POSIX threads (pthread_*.c) share with each other and with signals. What
 * <pthread.h> declares returns error numbers, as POSIX has it; nothing here sets errno.
 */
#ifndef LIBC_GLUE_PTHREAD_H
#define LIBC_GLUE_PTHREAD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kernel/spinlock.h"
#include "kernel/sync.h"
#include "kernel/thread.h"

/* A thread as POSIX sees it: a thread-local variable, whose address is the pthread_t. */
struct pthread {
    struct thread *thread; /* NULL until pthread_here */
    LIST_ENTRY(pthread) link;
    void *(*start)(void *);
    void *arg;
    struct __pthread_cleanup *cleanup; /* innermost */
    int policy, priority;
    /* libc-glue/signal.c; signal_lock */
    unsigned long signal_mask, signal_pending; /* sigset_t: what is blocked; sent to this thread */
    bool defers_signals;                       /* to the end of the call that it is in */
    unsigned signals_handled;                  /* changes whenever a handler has run */
    struct signal_stack {
        char *low;
        unsigned long bytes; /* 0: none */
    } signal_stack;
    int cancel_state, cancel_type; /* zero: enabled, deferred */
    bool is_cancelled;             /* somebody asked for it */
    bool is_ending;                /* takes no signals, and is not cancelled any more */
};

extern __thread struct pthread pthread_own;

/* The calling thread, which counts as one of POSIX from now on. */
struct pthread *pthread_here(void);

static inline struct pthread *pthread_of(pthread_t thread)
{
    return (struct pthread *)thread;
}

/* All that have not ended. */
LIST_HEAD(pthread_list, pthread);
extern struct pthread_list pthread_all;
extern struct spinlock pthread_all_lock;

/* --- Hooks: so that what a program does not use is not linked ----------------------------------
 */

/* At a thread's end. */
extern void (*pthread_run_key_destructors)(void);

/* What an interruption (thread_interrupt) is for; pthread_interrupts makes the kernel ask them. */
extern void (*pthread_act_on_cancel)(bool in_call);
extern bool (*pthread_deliver_signals)(void); /* whether interrupted calls begin anew */
void pthread_interrupts(void);

/* --- Objects that hold a word and a queue ------------------------------------------------------
 */

static inline int pthread_sleep(void **waiters, const unsigned *word, unsigned expected,
                                uint64_t deadline_ns)
{
    return wait_queue_sleep((struct wait_queue *)(void *)waiters, word, expected, deadline_ns,
                            false);
}

static inline int pthread_sleep_interruptible(void **waiters, const unsigned *word,
                                              unsigned expected, uint64_t deadline_ns)
{
    return wait_queue_sleep((struct wait_queue *)(void *)waiters, word, expected, deadline_ns,
                            true);
}

#define PTHREAD_WAKE_ALL UINT32_MAX

static inline void pthread_wake(void **waiters, unsigned count)
{
    wait_queue_wake((struct wait_queue *)(void *)waiters, count);
}

_Static_assert(sizeof(struct wait_queue) == sizeof(void *), "a queue fits into the objects");

#endif
