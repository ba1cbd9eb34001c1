/*
 * The scheduler's inside: struct thread, run queues, blocking and waking. Private to kernel/.
 *
 * sched_lock protects: the run queues, every thread's state, priority and wait fields, the lists of
 * all and of dead threads, and the contents of all mutexes, condition variables and semaphores. It
 * is held across a switch: the thread that is switched to releases it.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kernel/spinlock.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/timer.h"

enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_DEAD };

struct fault_catcher;

struct thread {
    uint64_t saved_rsp; /* first: kernel/switch.S */
    uintptr_t fs_base;
    enum thread_state state;
    int priority;
    TAILQ_ENTRY(thread) run_link;    /* in its run queue while READY */
    struct wait_queue *waiting_in;   /* while WAITING: the queue, or NULL (sleeping) */
    struct thread *wait_next;        /* in that queue */
    uint64_t wait_deadline_ns;       /* or SCHED_FOREVER */
    int wait_result;                 /* what the waker says */
    bool interruptible;              /* while WAITING: thread_interrupt ends it */
    bool interrupted;                /* the interrupt handler has to run */
    bool restarts;                   /* what it said when it ran at the end of an event */
    uint32_t nr_held;                /* kernel mutexes that it has; its own */
    struct timer timer;              /* ends a wait at its deadline */
    struct fault_catcher *catcher;   /* innermost fault_catch, or NULL */
    uintptr_t stack_low, stack_high; /* its stack; the guard page is below stack_low */
    void *region;                    /* what to unmap at the end (NULL: the stack is not ours) */
    size_t region_bytes;
    void *(*fn)(void *);
    void *arg;
    void *result;
    bool detached;
    bool service;
    bool being_joined;
    struct wait_queue joiner;
    LIST_ENTRY(thread) all_link;
    char name[THREAD_NAME_BYTES];
};

extern struct spinlock sched_lock;
LIST_HEAD(thread_list, thread);
extern struct thread_list sched_all_threads;

/* Per-vCPU state, reached through this accessor only. */
struct cpu {
    struct thread *current;
    struct thread *idle;
    uintptr_t fs_base;   /* what %fs has now */
    bool reschedule;     /* a better thread is ready, or the slice is over */
    uint32_t ready_mask; /* bit p: run queue p is not empty */
    TAILQ_HEAD(run_queue, thread) ready[THREAD_PRIORITIES];
    struct timer slice;
    uint64_t poll_ns;       /* how long the idle loop polls before it blocks */
    uint64_t idle_since_ns; /* 0: it is not */
    uint64_t idle_ns;       /* in all, up to idle_since_ns */
};
extern struct cpu sched_cpus[1];

static inline struct cpu *this_cpu(void)
{
    return &sched_cpus[pv_cpu()];
}

/* All of these: sched_lock held. */
void sched_make_ready(struct thread *t); /* of a thread in no queue */
void sched_switch(void);                 /* the current thread is in a queue or dead */
void sched_yield_current(void);          /* behind its equals */
int sched_wait(struct wait_queue *queue, uint64_t deadline_ns); /* SCHED_FOREVER: no deadline */
int sched_wait_interruptible(struct wait_queue *queue, uint64_t deadline_ns); /* also -EINTR */
struct thread *sched_wake_first(struct wait_queue *queue, int result);
void sched_requeue(struct thread *t, int priority); /* new priority, wherever t is */

#define SCHED_FOREVER UINT64_MAX

/*
 * Releases sched_lock; unmask is what spin_lock returned. If a better thread became ready, it runs
 * first, unless events were masked before: then the end of the event sees to it.
 */
void sched_unlock(bool unmask);

/* Boot only: the running context becomes the idle thread. */
void sched_init(struct thread *idle);
_Noreturn void sched_idle(void);

/* kernel/switch.S: stores rsp in *save, continues at load. New threads begin in thread_begin. */
void switch_stacks(uint64_t *save, uint64_t load);
extern const char switch_first[];

/* kernel/thread.c: at the end of an event, events masked, the current thread is interrupted. */
void thread_interrupted_by_event(void);

/* kernel/thread.c: called first in every new thread, sched_lock held. */
_Noreturn void thread_begin(void);

/* kernel/fpu.c */
void fpu_init(void);
/* Calls sched_switch with the whole FPU state of the current thread kept on its stack. */
void fpu_preserving_switch(void);

/* kernel/tls.c: bytes of one TLS block, its alignment included; builds one that ends at `end`. */
size_t tls_bytes(void);
uintptr_t tls_build(uintptr_t end); /* returns the %fs base */
void tls_init(void);                /* finds the best way to set %fs */
void tls_activate(uintptr_t fs_base);

#endif
