/*
 * Threads: creation, end, join, sleep.
 *
 * Callers: see kernel/thread.h. Ring 3. Lock: sched_lock protects states, the list of all threads
 * and the reap list (threads that ended detached and wait for somebody to free their stacks). An
 * ending thread holds it until it is off its stack, so whoever frees the stack takes it first.
 *
 * A thread is one region: guard page, stack, TLS block, struct thread. Or, without the first, it
 * lies in a stack that its creator gave it; then there is nothing to free.
 */
#include "kernel/thread.h"

#include <errno.h>
#include <string.h>

#include "kernel/exit.h"
#include "kernel/sched.h"
#include "kernel/vm.h"

#define INITIAL_MXCSR 0x1f80u /* all exceptions masked */
#define INITIAL_FCW 0x37fu    /* all exceptions masked, 64-bit precision */
#define STACK_MAX_BYTES (1ul << 30)
#define STACK_ALIGN 16ul

static struct thread_list reap_list = LIST_HEAD_INITIALIZER(reap_list);
static unsigned alive; /* sched_lock */
bool thread_not_alone;
uint32_t thread_held_alone;
static void (*exit_hook)(void);
static thread_interrupt_handler_t *interrupt_handler;

/* What switch_stacks pops in a thread that never ran. */
struct first_frame {
    uint32_t mxcsr, fcw;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    const void *rip;
};

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) & -unit;
}

static size_t overhead_bytes(void)
{
    return round_up(sizeof(struct thread), STACK_ALIGN) + tls_bytes();
}

static int check_attr(const struct thread_attr *attr)
{
    if (attr->priority &&
        (attr->priority < THREAD_PRIORITY_LOW || attr->priority > THREAD_PRIORITY_MAX))
        return -EINVAL;
    if (attr->stack_bytes &&
        (attr->stack_bytes < THREAD_STACK_MIN_BYTES || attr->stack_bytes > STACK_MAX_BYTES))
        return -EINVAL;
    if (attr->stack && attr->stack_bytes < THREAD_STACK_MIN_BYTES + overhead_bytes())
        return -EINVAL;
    return 0;
}

/* Lays out a thread at the top of its stack, ready to be switched to. */
static struct thread *build(void *stack, size_t bytes)
{
    uintptr_t low = (uintptr_t)stack, high = (low + bytes) & -STACK_ALIGN;
    struct thread *t = (struct thread *)(high - round_up(sizeof(struct thread), STACK_ALIGN));

    memset(t, 0, sizeof(*t));
    t->fs_base = tls_build((uintptr_t)t);
    t->stack_low = low;
    t->stack_high = ((uintptr_t)t - tls_bytes()) & -STACK_ALIGN; /* also rsp at switch_first */

    struct first_frame *frame = (struct first_frame *)t->stack_high - 1;
    *frame = (struct first_frame){.mxcsr = INITIAL_MXCSR, .fcw = INITIAL_FCW, .rip = switch_first};
    t->saved_rsp = (uint64_t)frame;
    return t;
}

void thread_set_name(struct thread *t, const char *name)
{
    strncpy(t->name, name, sizeof(t->name) - 1);
}

static void release(struct thread *t)
{
    if (t->region)
        vm_unmap(t->region, t->region_bytes);
}

static void reap(void)
{
    for (;;) {
        bool unmask = spin_lock(&sched_lock);
        struct thread *t = LIST_FIRST(&reap_list);

        if (t)
            LIST_REMOVE(t, all_link);
        sched_unlock(unmask);
        if (!t)
            return;
        release(t);
    }
}

int thread_create(struct thread **out, const struct thread_attr *attr, void *(*fn)(void *),
                  void *arg)
{
    static const struct thread_attr defaults;
    void *region = NULL;

    if (!attr)
        attr = &defaults;
    int error = check_attr(attr);
    if (error)
        return error;
    reap();

    size_t bytes = attr->stack_bytes ? round_up(attr->stack_bytes + overhead_bytes(), PAGE_SIZE)
                                     : THREAD_STACK_DEFAULT_BYTES;
    if (!attr->stack)
        error = vm_map(&region, bytes, VM_READ | VM_WRITE | VM_GUARD | VM_DIRTY, "stack");
    if (error)
        return error;

    struct thread *t = attr->stack ? build(attr->stack, attr->stack_bytes) : build(region, bytes);
    t->region = region;
    t->region_bytes = bytes;
    t->fn = fn;
    t->arg = arg;
    t->priority = attr->priority ? attr->priority : THREAD_PRIORITY_DEFAULT;
    t->service = attr->service;
    thread_set_name(t, attr->name ? attr->name : thread_self()->name);
    *out = t;

    bool unmask = spin_lock(&sched_lock);
    if (alive)
        thread_not_alone = true;
    alive += !t->service;
    LIST_INSERT_HEAD(&sched_all_threads, t, all_link);
    sched_make_ready(t);
    sched_unlock(unmask);
    return 0;
}

void thread_begin(void)
{
    struct thread *self = thread_self();

    sched_unlock(true); /* held by the switch; unmasks events, too */
    thread_exit(self->fn(self->arg));
}

void thread_exit(void *result)
{
    struct thread *self = thread_self();

    if (exit_hook)
        exit_hook();
    reap();

    spin_lock(&sched_lock);
    self->result = result;
    LIST_REMOVE(self, all_link);
    if (!self->service && --alive == 0) {
        spin_unlock(&sched_lock, true);
        kernel_exit(0); /* the last one leaves: nobody could ever exit() */
    }
    self->state = THREAD_DEAD;
    if (!self->detached)
        sched_wake_first(&self->joiner, 0);
    else if (self->region)
        LIST_INSERT_HEAD(&reap_list, self, all_link); /* the next to create or end frees it */
    sched_switch();
    __builtin_unreachable();
}

int thread_join(struct thread *t, void **result)
{
    bool unmask = spin_lock(&sched_lock);
    int error = 0;

    if (t == thread_self())
        error = -EDEADLK;
    else if (t->detached || t->being_joined)
        error = -EINVAL;
    if (error) {
        sched_unlock(unmask);
        return error;
    }
    t->being_joined = true;
    if (t->state != THREAD_DEAD)
        error = sched_wait_interruptible(&t->joiner, SCHED_FOREVER);
    if (error)
        t->being_joined = false;
    sched_unlock(unmask);
    if (error)
        return error;
    if (result)
        *result = t->result;
    release(t);
    return 0;
}

int thread_detach(struct thread *t)
{
    bool unmask = spin_lock(&sched_lock);
    bool dead = t->state == THREAD_DEAD;

    if (t->detached || t->being_joined) {
        sched_unlock(unmask);
        return -EINVAL;
    }
    t->detached = true;
    sched_unlock(unmask);
    if (dead)
        release(t);
    return 0;
}

void thread_yield(void)
{
    bool unmask = spin_lock(&sched_lock);

    sched_yield_current();
    sched_unlock(unmask);
}

int thread_sleep_until(uint64_t deadline_ns)
{
    bool unmask = spin_lock(&sched_lock);

    int error = sched_wait_interruptible(NULL, deadline_ns);
    sched_unlock(unmask);
    return error == -EINTR ? error : 0;
}

/* --- Interruption --------------------------------------------------------------------------- */

void thread_on_interrupt(thread_interrupt_handler_t *handler)
{
    interrupt_handler = handler;
}

bool thread_serve_interrupt(void)
{
    struct thread *self = thread_self();

    if (!self->interrupted)
        return self->restarts; /* served by the end of an event meanwhile */
    self->interrupted = false;
    return interrupt_handler(true);
}

void thread_defer_interrupts(void)
{
    thread_self()->nr_held++;
}

void thread_allow_interrupts(void)
{
    thread_self()->nr_held--;
}

static void run_interrupt_handler(void)
{
    pv_events_restore(true);
    thread_self()->restarts = interrupt_handler(false);
    pv_events_mask();
}

/* A handler may call what the interrupted code was in the middle of: it waits for the thread to
 * give up its mutexes, and looks again when a time slice is over. */
void thread_interrupted_by_event(void)
{
    struct thread *self = thread_self();

    if (self->nr_held || thread_held_alone) {
        thread_interrupt(self);
        return;
    }
    self->interrupted = false;
    fpu_preserving_call(run_interrupt_handler);
}

/* --- What others may know of a thread ------------------------------------------------------- */

void *thread_local_of(const struct thread *t, void *ours)
{
    return (void *)((uintptr_t)ours - thread_self()->fs_base + t->fs_base);
}

bool thread_is_detached(const struct thread *t)
{
    return t->detached;
}

void thread_stack(const struct thread *t, uintptr_t *low, uintptr_t *high)
{
    *low = t->stack_low;
    *high = t->stack_high;
}

const char *thread_name(const struct thread *t)
{
    return t->name;
}

int thread_priority(const struct thread *t)
{
    return t->priority;
}

int thread_set_priority(struct thread *t, int priority)
{
    if (priority < THREAD_PRIORITY_LOW || priority > THREAD_PRIORITY_MAX)
        return -EINVAL;
    bool unmask = spin_lock(&sched_lock);

    sched_requeue(t, priority);
    sched_unlock(unmask);
    return 0;
}

unsigned thread_count(void)
{
    return alive;
}

void thread_on_exit(void (*fn)(void))
{
    exit_hook = fn;
}
