/*
 * Mutexes, condition variables, semaphores.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "tests/guest/test.h"

#define WORKERS 4

static const struct thread_attr high = {.name = "high", .priority = THREAD_PRIORITY_HIGH};

static struct mutex mutex;
static struct cond cond;
static struct semaphore semaphore;

/* --- Mutexes -------------------------------------------------------------------------------- */

/* Not atomic: only the mutex keeps it right. */
static volatile unsigned long counter;
static volatile bool inside;
static atomic_uint contended; /* how often a worker found it taken */

/* Far longer than any host takes to preempt somebody. */
#define GIVE_UP_MS 60000

/* `rounds` times, and on until the mutex was needed. Returns how often. */
static void *count_with_mutex(void *rounds)
{
    const uint64_t give_up_ns = ms_from_now(GIVE_UP_MS);
    uintptr_t i;

    for (i = 0; i < (uintptr_t)rounds || !atomic_load(&contended); i++) {
        if (i % 1024 == 0 && clock_monotonic_ns() > give_up_ns)
            break;
        if (mutex_trylock(&mutex) != 0) {
            atomic_fetch_add(&contended, 1);
            mutex_lock(&mutex);
        }
        if (inside)
            FAIL("two threads hold the mutex");
        inside = true;
        unsigned long value = counter;
        for (volatile int spin = 0; spin < 20; spin++)
            ;
        counter = value + 1;
        inside = false;
        mutex_unlock(&mutex);
    }
    return (void *)i;
}

TEST(mutex_exclusion, "A mutex excludes under preemption: no count is lost.")
{
    const uintptr_t rounds = scaled(20000);
    struct thread *t[WORKERS];
    uintptr_t expected = 0;
    void *count;

    mutex_init(&mutex);
    counter = 0;
    atomic_store(&contended, 0);
    for (int i = 0; i < WORKERS; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, count_with_mutex, (void *)rounds));
    for (int i = 0; i < WORKERS; i++)
        if (CHECK_OK(thread_join(t[i], &count)))
            expected += (uintptr_t)count;
    CHECK_EQ(counter, expected);
    CHECK(atomic_load(&contended) > 0);
}

TEST(mutex_errors, "Locking twice, unlocking another's and unlocking nobody's mutex are refused.")
{
    mutex_init(&mutex);
    CHECK(!mutex_is_mine(&mutex));
    CHECK_EQ(mutex_unlock(&mutex), -EPERM);
    CHECK_OK(mutex_lock(&mutex));
    CHECK(mutex_is_mine(&mutex));
    CHECK_EQ(mutex_lock(&mutex), -EDEADLK);
    CHECK_EQ(mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(mutex_timedlock(&mutex, ms_from_now(1)), -EDEADLK);
    CHECK_OK(mutex_unlock(&mutex));
    CHECK_EQ(mutex_unlock(&mutex), -EPERM);
}

static void *try_mutex(void *unused)
{
    (void)unused;
    CHECK_EQ(mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(mutex_unlock(&mutex), -EPERM);
    uint64_t deadline_ns = ms_from_now(2);
    CHECK_EQ(mutex_timedlock(&mutex, deadline_ns), -ETIMEDOUT);
    CHECK_GE(clock_monotonic_ns(), deadline_ns);
    CHECK_EQ(mutex_timedlock(&mutex, 0), -ETIMEDOUT);
    return NULL;
}

static void *lock_in_time(void *unused)
{
    CHECK_OK(mutex_timedlock(&mutex, ms_from_now(600000)));
    CHECK_OK(mutex_unlock(&mutex));
    return unused;
}

TEST(mutex_timed, "A timed lock gives up no sooner than its deadline, or gets the mutex.")
{
    struct thread *t;

    mutex_init(&mutex);
    CHECK_OK(mutex_lock(&mutex));
    REQUIRE_OK(thread_create(&t, NULL, try_mutex, NULL));
    CHECK_OK(thread_join(t, NULL));
    REQUIRE_OK(thread_create(&t, &high, lock_in_time, NULL));
    CHECK_OK(mutex_unlock(&mutex));
    CHECK_OK(thread_join(t, NULL));
    CHECK_OK(mutex_trylock(&mutex));
    CHECK_OK(mutex_unlock(&mutex));
}

TEST(mutex_recursive, "A recursive mutex is free after as many unlocks as locks.")
{
    struct thread *t;

    mutex_init_recursive(&mutex);
    for (int i = 0; i < 100; i++)
        CHECK_OK(i % 2 ? mutex_lock(&mutex) : mutex_trylock(&mutex));
    REQUIRE_OK(thread_create(&t, NULL, try_mutex, NULL));
    CHECK_OK(thread_join(t, NULL));
    for (int i = 0; i < 100; i++) {
        CHECK(mutex_is_mine(&mutex));
        CHECK_OK(mutex_unlock(&mutex));
    }
    CHECK(!mutex_is_mine(&mutex));
    CHECK_EQ(mutex_unlock(&mutex), -EPERM);
}

/* What waiters note, in the order in which they get what they wait for. */
static char order[32];
static atomic_uint nr_ordered;

static void note(char name)
{
    order[atomic_fetch_add(&nr_ordered, 1)] = name;
}

static void clear_order(void)
{
    memset(order, 0, sizeof(order));
    atomic_store(&nr_ordered, 0);
}

static void check_order(const char *expected)
{
    if (strcmp(order, expected) != 0)
        FAIL("the order was %s instead of %s", order, expected);
}

static void *lock_and_note(void *name)
{
    mutex_lock(&mutex);
    note((char)(uintptr_t)name);
    mutex_unlock(&mutex);
    return NULL;
}

/* Threads a to c, of priorities default, default, high, each let go as far as it gets. */
static bool start_waiters(struct thread *t[3], void *(*fn)(void *))
{
    clear_order();
    for (uintptr_t i = 0; i < 3; i++) {
        if (!CHECK_OK(thread_create(&t[i], i == 2 ? &high : NULL, fn, (void *)('a' + i))))
            return false;
        settle();
    }
    check_order("");
    return true;
}

static void join_waiters(struct thread *t[3])
{
    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_join(t[i], NULL));
}

TEST(mutex_order, "Waiters get a mutex by priority, and in their order among equals.")
{
    struct thread *t[3];

    mutex_init(&mutex);
    mutex_lock(&mutex);
    REQUIRE(start_waiters(t, lock_and_note));
    mutex_unlock(&mutex);
    join_waiters(t);
    check_order("cab");
}

static void *lock_often(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        mutex_lock(&mutex);
        mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(mutex_fair, "Who waits for a mutex gets it, though another thread takes it all the time.")
{
    struct thread *t;

    mutex_init(&mutex);
    mutex_lock(&mutex);
    REQUIRE_OK(thread_create(&t, NULL, lock_often, (void *)5));
    settle();
    for (int i = 0; i < 5; i++) {
        CHECK_OK(mutex_unlock(&mutex)); /* hands it over: ours again only after its turn */
        CHECK_OK(mutex_lock(&mutex));
    }
    CHECK_OK(mutex_unlock(&mutex));
    CHECK_OK(thread_join(t, NULL));
}

/* --- Condition variables -------------------------------------------------------------------- */

static volatile int turn;

static void *ping_pong(void *me)
{
    for (int i = 0; i < 1000; i++) {
        mutex_lock(&mutex);
        while (turn != (int)(intptr_t)me)
            CHECK_OK(cond_wait(&cond, &mutex));
        turn = (turn + 1) % 3;
        cond_broadcast(&cond);
        mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(cond_turns, "Three threads pass the turn round 1,000 times by a condition variable.")
{
    struct thread *t[3];

    mutex_init(&mutex);
    cond_init(&cond);
    turn = 0;
    for (intptr_t i = 0; i < 3; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, ping_pong, (void *)i));
    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_join(t[i], NULL));
    CHECK_EQ(turn, 0);
}

static void *wait_and_note(void *name)
{
    mutex_lock(&mutex);
    CHECK_OK(cond_wait(&cond, &mutex));
    CHECK(mutex_is_mine(&mutex));
    note((char)(uintptr_t)name);
    mutex_unlock(&mutex);
    return NULL;
}

TEST(cond_order, "signal wakes one waiter, the best; broadcast wakes all; none is remembered.")
{
    struct thread *t[3];

    mutex_init(&mutex);
    cond_init(&cond);
    cond_signal(&cond); /* nobody waits: lost */
    REQUIRE(start_waiters(t, wait_and_note));
    cond_signal(&cond);
    settle();
    check_order("c");
    cond_signal(&cond);
    settle();
    check_order("ca");
    cond_broadcast(&cond);
    join_waiters(t);
    check_order("cab");

    REQUIRE(start_waiters(t, wait_and_note));
    cond_broadcast(&cond);
    join_waiters(t);
    CHECK_EQ(strlen(order), 3);
    CHECK_EQ(order[0], 'c');
}

TEST(cond_timed, "A timed wait returns no sooner than its deadline, with the mutex.")
{
    mutex_init_recursive(&mutex);
    cond_init(&cond);
    CHECK_EQ(cond_wait(&cond, &mutex), -EPERM);
    CHECK_OK(mutex_lock(&mutex));
    CHECK_OK(mutex_lock(&mutex));
    uint64_t deadline_ns = ms_from_now(3);
    CHECK_EQ(cond_timedwait(&cond, &mutex, deadline_ns), -ETIMEDOUT);
    CHECK_GE(clock_monotonic_ns(), deadline_ns);
    CHECK_EQ(cond_timedwait(&cond, &mutex, 0), -ETIMEDOUT);
    CHECK_OK(mutex_unlock(&mutex));
    CHECK(mutex_is_mine(&mutex)); /* it has its depth again */
    CHECK_OK(mutex_unlock(&mutex));
    CHECK(!mutex_is_mine(&mutex));
}

/* --- Semaphores ----------------------------------------------------------------------------- */

static void *take_and_note(void *name)
{
    semaphore_wait(&semaphore);
    note((char)(uintptr_t)name);
    return NULL;
}

TEST(semaphore_order, "Each post lets one waiter through, the best first.")
{
    struct thread *t[3];

    semaphore_init(&semaphore, 0);
    REQUIRE(start_waiters(t, take_and_note));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(semaphore_post(&semaphore));
        settle();
    }
    join_waiters(t);
    check_order("cab");
    CHECK_EQ(semaphore_trywait(&semaphore), -EAGAIN);
}

TEST(semaphore_count, "A semaphore counts, refuses to overflow, and times out not too soon.")
{
    semaphore_init(&semaphore, 2);
    CHECK_OK(semaphore_trywait(&semaphore));
    CHECK_OK(semaphore_timedwait(&semaphore, 0));
    CHECK_EQ(semaphore_trywait(&semaphore), -EAGAIN);
    uint64_t deadline_ns = ms_from_now(3);
    CHECK_EQ(semaphore_timedwait(&semaphore, deadline_ns), -ETIMEDOUT);
    CHECK_GE(clock_monotonic_ns(), deadline_ns);
    CHECK_OK(semaphore_post(&semaphore));
    semaphore_wait(&semaphore);
    semaphore_init(&semaphore, UINT32_MAX);
    CHECK_EQ(semaphore_post(&semaphore), -EOVERFLOW);
}

static struct timer posting;
static volatile unsigned posts;

static void post_and_rearm(void *unused)
{
    semaphore_post(&semaphore);
    if (++posts < 100)
        timer_set(&posting, clock_monotonic_ns() + 50 * NS_PER_US, post_and_rearm, unused);
}

TEST(semaphore_events, "An event handler may post: none of 100 is lost.")
{
    semaphore_init(&semaphore, 0);
    posts = 0;
    timer_set(&posting, clock_monotonic_ns(), post_and_rearm, NULL);
    for (int i = 0; i < 100; i++)
        semaphore_wait(&semaphore);
    CHECK_EQ(posts, 100);
    CHECK_EQ(semaphore_trywait(&semaphore), -EAGAIN);
}
