/*
 * Threads: preemptive, fixed priorities, round robin among equals by time slice, tickless.
 *
 * Every thread has its own stack, with an unmapped guard page below unless it was given one, and a
 * TLS block from the image's PT_TLS template (x86-64 variant II; %fs:0 holds its own address).
 * Exceeding the stack panics with the thread's name. Callers: kernel, libc-glue, tests. May sleep:
 * thread_create, thread_join, thread_exit (they take vm_lock); none may be called from an event
 * handler except thread_self and thread_name.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    THREAD_PRIORITY_IDLE = 0, /* the idle thread's own; no other thread may use it */
    THREAD_PRIORITY_LOW,
    THREAD_PRIORITY_DEFAULT,
    THREAD_PRIORITY_HIGH,
    THREAD_PRIORITY_MAX,
    THREAD_PRIORITIES
};

#define THREAD_NAME_BYTES 16
#define THREAD_STACK_DEFAULT_BYTES (32ul * 1024)
#define THREAD_STACK_MIN_BYTES (8ul * 1024)

struct thread;

/* Zero in any field means its default. */
struct thread_attr {
    const char *name; /* copied, cut to THREAD_NAME_BYTES - 1; default: the creator's name */
    int priority;     /* default THREAD_PRIORITY_DEFAULT */
    bool service;     /* the kernel's own: not counted, and the guest ends without waiting for it */
    size_t stack_bytes; /* usable stack; default THREAD_STACK_DEFAULT_BYTES less TLS and thread */
    /* The caller's memory instead, writable until the thread was joined (detached: until it is
     * gone), stack_bytes of it with TLS and thread within. It has no guard page. */
    void *stack;
};

/*
 * Starts fn(arg). 0, -EINVAL (priority or stack size out of range, or a given stack too small) or
 * -ENOMEM. The thread must be joined or detached once; *out is valid until then.
 */
int thread_create(struct thread **out, const struct thread_attr *attr, void *(*fn)(void *),
                  void *arg);

/* Waits for the end of t, stores what it returned (result may be NULL), frees it.
 * -EDEADLK: oneself; -EINVAL: detached, or somebody else already joins it; -EINTR. */
int thread_join(struct thread *t, void **result);

/* t frees itself at its end; it must not be named any more. -EINVAL: detached or being joined. */
int thread_detach(struct thread *t);

_Noreturn void thread_exit(void *result);

/* Lets other threads of the same priority run. */
void thread_yield(void);

/* Lets a better thread run that became ready while events were masked. */
void thread_give_way(void);

/* Sleeps until clock_monotonic_ns() >= deadline_ns. 0, or -EINTR (thread_interrupt). */
int thread_sleep_until(uint64_t deadline_ns);

/* How long the processor has run since the start, for threads and for events that came meanwhile.
 */
uint64_t thread_busy_ns(void);

struct thread *thread_self(void);
const char *thread_name(const struct thread *t);
int thread_priority(const struct thread *t);
/* -EINVAL: not THREAD_PRIORITY_LOW..MAX. Takes effect at once. */
int thread_set_priority(struct thread *t, int priority);

/*
 * False until a second thread is created, and never again. A lock that only threads take need not
 * exclude anybody till then; it counts itself in thread_held_alone, so that whoever has it is not
 * interrupted (newlib's malloc does, by tools/deps/newlib.patch).
 */
extern bool thread_not_alone;
extern uint32_t thread_held_alone;

/* Threads alive, the main thread included, the idle thread and services not. */
unsigned thread_count(void);

/*
 * Interruption: how a signal or a cancellation reaches a thread. t runs the handler once, soon, in
 * its own context with events unmasked and no kernel mutex held: on the way out of an event
 * (in_call false), or when it calls thread_serve_interrupt. Until then its interruptible waits
 * (those that may return -EINTR) do so at once. Any context; t == thread_self() is fine.
 */
void thread_interrupt(struct thread *t);
typedef bool thread_interrupt_handler_t(bool in_call);
/* One handler; before there is one, nobody may be interrupted. */
void thread_on_interrupt(thread_interrupt_handler_t *handler);
/* By whoever got -EINTR and holds nothing any more: runs the handler (in_call true) and returns
 * what it says: whether the interrupted call shall begin anew. */
bool thread_serve_interrupt(void);

/* Calls fn with the FPU empty and keeps what it held, as an event or a fault left it. Events are
 * masked, also when fn returns. */
void fpu_preserving_call(void (*fn)(void));

/* In between, the end of an event does not run the handler for the caller, as if it held a mutex:
 * for who has given others a pointer into its stack. They nest. */
void thread_defer_interrupts(void);
void thread_allow_interrupts(void);

/* Where t's instance of `ours`, a thread-local variable of the calling thread, is. */
void *thread_local_of(const struct thread *t, void *ours);

/* The usable stack of t: its lowest address and the one behind its highest. */
void thread_stack(const struct thread *t, uintptr_t *low, uintptr_t *high);

bool thread_is_detached(const struct thread *t);

/* t's new name, cut to THREAD_NAME_BYTES - 1. */
void thread_set_name(struct thread *t, const char *name);

/* Runs fn in every thread that ends, in its context, before its stack goes. One hook; NULL: none.
 */
void thread_on_exit(void (*fn)(void));

#endif
