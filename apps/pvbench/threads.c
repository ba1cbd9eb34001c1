/*
 * Threads: switching, waking each other, beginning and ending. No hypercall is needed for a switch
 * where ring 3 may set %fs itself.
 *
 * Two threads of equal priority: every yield, and every wait, is a switch to the other.
 * Ring 3. Locks: none.
 */
#include "apps/pvbench/pvbench.h"

#include <stddef.h>

#include "apps/pvbench/bench.h"
#include "kernel/sync.h"
#include "kernel/thread.h"

#define TURNS 256
#define LIVES 16

static volatile bool is_over;
static struct semaphore ping, pong;
static struct mutex mutex;

static void *yield_along(void *arg)
{
    while (!is_over)
        thread_yield();
    return arg;
}

/* A yield is two switches: there and back. */
static void switches(unsigned n, void *arg)
{
    (void)arg;
    for (; n; n -= 2)
        thread_yield();
}

static void yields(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        thread_yield();
}

static void *answer(void *arg)
{
    for (;;) {
        semaphore_wait(&ping);
        if (is_over)
            return arg;
        semaphore_post(&pong);
    }
}

static void ask(unsigned n, void *arg)
{
    (void)arg;
    while (n--) {
        semaphore_post(&ping);
        semaphore_wait(&pong);
    }
}

static void lock_unlock(unsigned n, void *arg)
{
    (void)arg;
    while (n--) {
        mutex_lock(&mutex);
        mutex_unlock(&mutex);
    }
}

static void *life(void *arg)
{
    return arg;
}

static void lives(unsigned n, void *arg)
{
    struct thread *thread;

    (void)arg;
    while (n--)
        if (thread_create(&thread, NULL, life, NULL) == 0)
            thread_join(thread, NULL);
}

/* Runs `fn` against a second thread. */
static void against(const char *figure, bench_fn *fn, void *(*other)(void *))
{
    struct thread *thread;

    is_over = false;
    if (thread_create(&thread, NULL, other, NULL)) {
        bench_missing(figure, "no memory for a thread");
        return;
    }
    bench_loop(figure, TURNS, fn, NULL);
    is_over = true;
    semaphore_post(&ping);
    thread_join(thread, NULL);
}

void bench_threads(void)
{
    bench_loop("thread.lock_unlock", TURNS, lock_unlock, NULL);
    bench_loop("thread.yield_alone", TURNS, yields, NULL);
    against("thread.switch", switches, yield_along);
    against("thread.semaphore_pair", ask, answer);
    bench_loop("thread.create_join", LIVES, lives, NULL);
}
