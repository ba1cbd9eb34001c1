/*
 * Run queues, switching, blocking, waking, the idle loop.
 *
 * Callers: kernel/thread.c, kernel/sync.c, the event exit path. Ring 3. Lock: sched_lock, see
 * kernel/sched.h. A thread is READY in exactly one run queue, or RUNNING in none.
 */
#include "kernel/sched.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/clock.h"

#define SLICE_NS (10 * NS_PER_MS)

/* The idle loop looks for events that long at most before it blocks. */
#define POLL_MAX_NS (50 * NS_PER_US)
#define POLL_LOOKS 16 /* between two looks at the clock */

struct spinlock sched_lock;
struct thread_list sched_all_threads = LIST_HEAD_INITIALIZER(sched_all_threads);

struct cpu sched_cpus[1];

struct thread *thread_self(void)
{
    return this_cpu()->current;
}

/* --- Run queues ----------------------------------------------------------------------------- */

static void queue_insert(struct cpu *cpu, struct thread *t, bool at_head)
{
    struct run_queue *queue = &cpu->ready[t->priority];

    t->state = THREAD_READY;
    if (at_head)
        TAILQ_INSERT_HEAD(queue, t, run_link);
    else
        TAILQ_INSERT_TAIL(queue, t, run_link);
    cpu->ready_mask |= 1u << t->priority;
}

static void queue_remove(struct cpu *cpu, struct thread *t)
{
    struct run_queue *queue = &cpu->ready[t->priority];

    TAILQ_REMOVE(queue, t, run_link);
    if (TAILQ_EMPTY(queue))
        cpu->ready_mask &= ~(1u << t->priority);
}

static int best_ready_priority(const struct cpu *cpu)
{
    return cpu->ready_mask ? 31 - __builtin_clz(cpu->ready_mask) : -1;
}

/* --- Time slices: the timer runs only while somebody of equal priority waits ---------------- */

/* Event context, sched_lock not held. */
static void slice_over(void *arg)
{
    struct cpu *cpu = arg;
    bool unmask = spin_lock(&sched_lock);

    if (cpu->ready_mask >> cpu->current->priority)
        cpu->reschedule = true;
    spin_unlock(&sched_lock, unmask);
}

/* Also for a thread that has been interrupted: the end of an event is where it notices. */
static void slice_start_if_shared(struct cpu *cpu)
{
    int priority = cpu->current->priority;

    if (!cpu->slice.armed && ((cpu->ready_mask & 1u << priority) || cpu->current->interrupted))
        timer_set(&cpu->slice, clock_monotonic_ns() + SLICE_NS, slice_over, cpu);
}

/* --- Switching ------------------------------------------------------------------------------ */

void sched_make_ready(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    queue_insert(cpu, t, false);
    if (t->priority > cpu->current->priority)
        cpu->reschedule = true;
    else
        slice_start_if_shared(cpu);
}

void sched_switch(void)
{
    struct cpu *cpu = this_cpu();
    struct thread *from = cpu->current;
    struct thread *to = TAILQ_FIRST(&cpu->ready[best_ready_priority(cpu)]);

    queue_remove(cpu, to);
    to->state = THREAD_RUNNING;
    cpu->current = to;
    cpu->reschedule = false;
    slice_start_if_shared(cpu);
    if (to == from)
        return;
    if (to->fs_base && to->fs_base != cpu->fs_base) { /* the idle thread has none and needs none */
        cpu->fs_base = to->fs_base;
        tls_activate(to->fs_base);
    }
    switch_stacks(&from->saved_rsp, to->saved_rsp);
}

void sched_yield_current(void)
{
    struct cpu *cpu = this_cpu();

    queue_insert(cpu, cpu->current, false);
    sched_switch();
}

/* For a better thread the current one keeps its place among its equals, for an equal it does not.
 */
static bool must_give_way(struct cpu *cpu)
{
    int best = best_ready_priority(cpu);

    if (!cpu->reschedule || best < cpu->current->priority) {
        cpu->reschedule = false;
        return false;
    }
    queue_insert(cpu, cpu->current, best > cpu->current->priority);
    return true;
}

void sched_unlock(bool unmask)
{
    if (unmask && this_cpu()->reschedule && must_give_way(this_cpu()))
        sched_switch();
    spin_unlock(&sched_lock, unmask);
}

void thread_give_way(void)
{
    if (this_cpu()->reschedule)
        sched_unlock(spin_lock(&sched_lock));
}

/* --- Waiting -------------------------------------------------------------------------------- */

static void wait_insert(struct wait_queue *queue, struct thread *t)
{
    struct thread **at = &queue->first;

    while (*at && (*at)->priority >= t->priority)
        at = &(*at)->wait_next;
    t->wait_next = *at;
    *at = t;
    t->waiting_in = queue;
}

static void wait_remove(struct thread *t)
{
    struct thread **at = &t->waiting_in->first;

    while (*at != t)
        at = &(*at)->wait_next;
    *at = t->wait_next;
    t->waiting_in = NULL;
}

static void wake(struct thread *t, int result)
{
    if (t->waiting_in)
        wait_remove(t);
    t->wait_result = result;
    sched_make_ready(t);
}

/* Event context, sched_lock not held. */
static void wait_timed_out(void *arg)
{
    struct thread *t = arg;
    bool unmask = spin_lock(&sched_lock);

    /* Another vCPU may have woken it while the timer fired; it may even wait for something else. */
    if (t->state == THREAD_WAITING && clock_monotonic_ns() >= t->wait_deadline_ns)
        wake(t, -ETIMEDOUT);
    spin_unlock(&sched_lock, unmask);
}

int sched_wait(struct wait_queue *queue, uint64_t deadline_ns)
{
    struct thread *t = this_cpu()->current;

    if (deadline_ns != SCHED_FOREVER && deadline_ns <= clock_monotonic_ns())
        return -ETIMEDOUT;
    t->state = THREAD_WAITING;
    t->wait_deadline_ns = deadline_ns;
    if (queue)
        wait_insert(queue, t);
    if (deadline_ns != SCHED_FOREVER)
        timer_set(&t->timer, deadline_ns, wait_timed_out, t);
    sched_switch();
    return t->wait_result;
}

int sched_wait_interruptible(struct wait_queue *queue, uint64_t deadline_ns)
{
    struct thread *t = this_cpu()->current;

    if (t->interrupted)
        return -EINTR;
    t->interruptible = true;
    int result = sched_wait(queue, deadline_ns);
    t->interruptible = false;
    return result;
}

void thread_interrupt(struct thread *t)
{
    bool unmask = spin_lock(&sched_lock);

    t->interrupted = true;
    if (t->state == THREAD_WAITING && t->interruptible) {
        timer_cancel(&t->timer);
        wake(t, -EINTR);
    } else if (t->state == THREAD_RUNNING) {
        slice_start_if_shared(this_cpu());
    }
    sched_unlock(unmask);
}

struct thread *sched_wake_first(struct wait_queue *queue, int result)
{
    struct thread *t = queue->first;

    if (!t)
        return NULL;
    if (t->timer.armed)
        timer_cancel(&t->timer);
    wake(t, result);
    return t;
}

void sched_requeue(struct thread *t, int priority)
{
    struct cpu *cpu = this_cpu();
    struct wait_queue *queue = t->waiting_in;

    switch (t->state) {
    case THREAD_READY:
        queue_remove(cpu, t);
        t->priority = priority;
        sched_make_ready(t);
        break;
    case THREAD_WAITING:
        if (queue)
            wait_remove(t);
        t->priority = priority;
        if (queue)
            wait_insert(queue, t);
        break;
    case THREAD_RUNNING:
        t->priority = priority;
        if (best_ready_priority(cpu) > priority)
            cpu->reschedule = true;
        break;
    case THREAD_DEAD:
        break;
    }
}

/* --- Idle, and the end of events --------------------------------------------------------- */

void sched_init(struct thread *idle)
{
    struct cpu *cpu = this_cpu();

    for (int i = 0; i < THREAD_PRIORITIES; i++)
        TAILQ_INIT(&cpu->ready[i]);
    idle->state = THREAD_RUNNING;
    cpu->current = cpu->idle = idle;
}

/*
 * An answer that is about to come is cheaper to wait for than to sleep and be woken: look for
 * events a short while first, if the last idle time was that short.
 */
static bool poll_for_event(struct cpu *cpu)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (cpu->idle_since_ns)
        cpu->idle_ns += now_ns - cpu->idle_since_ns;
    cpu->idle_since_ns = now_ns;
    if (cpu->poll_ns == 0)
        return pv_event_pending();
    do {
        for (unsigned i = 0; i < POLL_LOOKS; i++) {
            if (pv_event_pending())
                return true;
            __builtin_ia32_pause();
        }
    } while (clock_monotonic_ns() - cpu->idle_since_ns < cpu->poll_ns);
    return false;
}

/* An event made another thread ready. */
static void idle_ends(struct cpu *cpu)
{
    uint64_t idle_ns = clock_monotonic_ns() - cpu->idle_since_ns;

    cpu->poll_ns = idle_ns < POLL_MAX_NS ? POLL_MAX_NS : cpu->poll_ns / 2;
    cpu->idle_ns += idle_ns;
    cpu->idle_since_ns = 0;
}

uint64_t thread_busy_ns(void)
{
    return clock_monotonic_ns() - this_cpu()->idle_ns;
}

/*
 * The end of an event: the only place where a thread loses the CPU without having called for it.
 * The interrupted code holds no spin lock (it would have masked events).
 */
static void end_event(void)
{
    spin_lock(&sched_lock);
    struct cpu *cpu = this_cpu();
    if (must_give_way(cpu)) {
        if (cpu->current == cpu->idle) {
            idle_ends(cpu);
            sched_switch();
        } else {
            fpu_preserving_switch();
        }
    }
    spin_release(&sched_lock);
}

void kernel_event_exit(void)
{
    if (this_cpu()->reschedule)
        end_event();
    if (this_cpu()->current->interrupted)
        thread_interrupted_by_event();
}

void sched_idle(void)
{
    spin_lock(&sched_lock);
    sched_unlock(true); /* threads made at boot start now */
    for (;;) {
        pv_events_mask();
        if (poll_for_event(this_cpu()))
            pv_event_replay(); /* preempts the idle thread if it made one ready */
        else
            pv_block();
    }
}
