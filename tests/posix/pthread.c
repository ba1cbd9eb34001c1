/*
 * Threads: life and attributes, the objects they wait for each other with, cancellation.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "tests/posix/check.h"

static struct timespec in_ms(clockid_t clock, long ms)
{
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Starts fn in a thread that the test joins. */
static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    if (CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0))
        return thread;
    exit(1);
}

static void *join(pthread_t thread)
{
    void *value = NULL;

    CHECK_EQ(pthread_join(thread, &value), 0);
    return value;
}

/* --- Threads ------------------------------------------------------------------------------------
 */

static void *give_back(void *arg)
{
    return arg;
}

static void *exit_with(void *arg)
{
    pthread_exit(arg);
}

static void *say_who(void *out)
{
    *(pthread_t *)out = pthread_self();
    return NULL;
}

TEST(pthread_life, "Threads start, know who they are, and leave a value for whoever joins.")
{
    pthread_t thread, said;
    pthread_attr_t attr;
    int x;

    CHECK(join(start(give_back, &x)) == &x);
    CHECK(join(start(exit_with, &x)) == &x);
    thread = start(say_who, &said);
    join(thread);
    CHECK(pthread_equal(thread, said));
    CHECK(!pthread_equal(thread, pthread_self()));
    CHECK_EQ(pthread_join(pthread_self(), NULL), EDEADLK);
    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
    CHECK_EQ(pthread_attr_setdetachstate(&attr, 7), EINVAL);
    CHECK_EQ(pthread_create(&thread, &attr, give_back, NULL), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
    thread = start(give_back, NULL);
    CHECK_EQ(pthread_detach(thread), 0);
    sleep_ms(20);
}

static void *wait_for_gate(void *gate)
{
    while (sem_wait(gate) != 0)
        ;
    return NULL;
}

TEST(pthread_join_errors, "A detached thread cannot be joined, nor one that another thread joins.")
{
    pthread_t thread;
    sem_t gate;

    CHECK_OK(sem_init(&gate, 0, 0));
    thread = start(wait_for_gate, &gate);
    CHECK_EQ(pthread_detach(thread), 0);
    CHECK_EQ(pthread_join(thread, NULL), EINVAL);
    CHECK_EQ(pthread_detach(thread), EINVAL);
    CHECK_OK(sem_post(&gate));
    sleep_ms(20);
    CHECK_OK(sem_destroy(&gate));
}

TEST(pthread_names, "A thread has a name of at most 15 characters.")
{
    char name[16];

    CHECK_EQ(pthread_setname_np(pthread_self(), "0123456789abcdef"), ERANGE);
    CHECK_EQ(pthread_setname_np(pthread_self(), "0123456789abcde"), 0);
    CHECK_EQ(pthread_getname_np(pthread_self(), name, 15), ERANGE);
    CHECK_EQ(pthread_getname_np(pthread_self(), name, 16), 0);
    CHECK_OK(strcmp(name, "0123456789abcde"));
    CHECK_EQ(pthread_setname_np(pthread_self(), "main"), 0);
}

static void *use_stack(void *bytes)
{
    volatile char block[(size_t)bytes];
    pthread_attr_t attr;
    void *low;
    size_t size;

    for (size_t i = 0; i < sizeof(block); i += 512)
        block[i] = (char)i;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstack(&attr, &low, &size), 0);
    CHECK((char *)low <= (char *)block && (char *)block < (char *)low + size);
    CHECK_GE(size, (size_t)bytes);
    pthread_attr_destroy(&attr);
    return (void *)(uintptr_t)block[0];
}

TEST(pthread_stack, "A thread has the stack that it was promised.")
{
    const size_t bytes = 300000;
    pthread_attr_t attr;
    pthread_t thread;
    size_t got;

    REQUIRE_OK(pthread_attr_init(&attr));
    CHECK_EQ(pthread_attr_setstacksize(&attr, 1), EINVAL);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &got), 0);
    CHECK_GE(got, 65536);
    CHECK_EQ(pthread_attr_setstacksize(&attr, bytes), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &got), 0);
    CHECK_EQ(got, bytes);
    CHECK_EQ(pthread_attr_setguardsize(&attr, 4096), 0);
    REQUIRE_EQ(pthread_create(&thread, &attr, use_stack, (void *)(bytes - 16384)), 0);
    CHECK(join(thread) == NULL);
    pthread_attr_destroy(&attr);
}

static void *where_am_i(void *out)
{
    *(void **)out = __builtin_frame_address(0);
    return NULL;
}

TEST(pthread_given_stack,
     "A thread runs on memory that it was given, which is free again once it is joined.")
{
    const size_t bytes = 200001;
    char *memory = malloc(bytes + 1), *inside = NULL, *there = memory + 1;
    pthread_attr_t attr;
    pthread_t thread;
    void *stack;
    size_t got;

    REQUIRE_OK(memory == NULL);
    REQUIRE_OK(pthread_attr_init(&attr));
    CHECK_EQ(pthread_attr_setstack(&attr, there, PTHREAD_STACK_MIN - 1), EINVAL);
    CHECK_EQ(pthread_attr_setstack(&attr, there, bytes), 0);
    CHECK_EQ(pthread_attr_getstack(&attr, &stack, &got), 0);
    CHECK(stack == there && got == bytes);
    for (int i = 0; i < 100; i++) {
        REQUIRE_EQ(pthread_create(&thread, &attr, where_am_i, &inside), 0);
        CHECK(join(thread) == NULL);
        CHECK(there <= inside && inside < there + bytes);
        memset(memory, 0xee, bytes + 1);
    }
    REQUIRE_EQ(pthread_create(&thread, &attr, use_stack, (void *)100000), 0);
    CHECK(join(thread) == NULL);
    pthread_attr_destroy(&attr);
    free(memory);
}

TEST(pthread_scheduling,
     "The policy is SCHED_OTHER with priority 0, inherited; others have ranges.")
{
    struct sched_param param = {.sched_priority = 9999};
    pthread_attr_t attr;
    int policy = -1;

    CHECK_EQ(pthread_getschedparam(pthread_self(), &policy, &param), 0);
    CHECK_EQ(policy, SCHED_OTHER);
    CHECK_EQ(param.sched_priority, 0);
    CHECK_EQ(sched_get_priority_min(SCHED_OTHER), 0);
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
    CHECK_LT(1, sched_get_priority_max(SCHED_RR));
    CHECK_FAILS(sched_get_priority_max(77), EINVAL);
    REQUIRE_OK(pthread_attr_init(&attr));
    param.sched_priority = 0;
    CHECK_EQ(pthread_attr_setschedpolicy(&attr, SCHED_RR), 0);
    CHECK_EQ(pthread_attr_setschedparam(&attr, &param), EINVAL);
    param.sched_priority = 1;
    CHECK_EQ(pthread_attr_setschedparam(&attr, &param), 0);
    CHECK_EQ(pthread_attr_setschedpolicy(&attr, 77), EINVAL);
    CHECK_EQ(pthread_attr_setscope(&attr, PTHREAD_SCOPE_PROCESS), ENOTSUP);
    CHECK_EQ(pthread_attr_setinheritsched(&attr, 77), EINVAL);
    pthread_attr_destroy(&attr);
    CHECK_OK(sched_yield());
}

#define CROWD 300 /* more than the guest has memory for, not more than Linux */

TEST(pthread_exhaustion, "No memory for a stack is EAGAIN; what there is can be used again.")
{
    static pthread_t threads[CROWD];
    pthread_attr_t attr;
    int count, error = 0;
    sem_t gate;

    REQUIRE_OK(sem_init(&gate, 0, 0));
    REQUIRE_OK(pthread_attr_init(&attr));
    CHECK_EQ(pthread_attr_setstacksize(&attr, 1ul << 46), 0); /* more than there can be */
    CHECK_EQ(pthread_create(&threads[0], &attr, give_back, NULL), EAGAIN);
    CHECK_EQ(pthread_attr_setstacksize(&attr, 1ul << 20), 0);
    for (int round = 0; round < 2; round++) {
        for (count = 0; count < CROWD && error == 0; count += error == 0)
            error = pthread_create(&threads[count], &attr, wait_for_gate, &gate);
        CHECK(error == 0 || error == EAGAIN);
        CHECK_GE(count, 20);
        error = 0;
        for (int i = 0; i < count; i++)
            CHECK_OK(sem_post(&gate));
        for (int i = 0; i < count; i++)
            join(threads[i]);
    }
    pthread_attr_destroy(&attr);
    sem_destroy(&gate);
}

/* --- Mutexes ------------------------------------------------------------------------------------
 */

struct held {
    pthread_mutex_t *mutex;
    sem_t held, release;
};

static void *hold(void *arg)
{
    struct held *h = arg;

    CHECK_EQ(pthread_mutex_lock(h->mutex), 0);
    sem_post(&h->held);
    sem_wait(&h->release);
    CHECK_EQ(pthread_mutex_unlock(h->mutex), 0);
    return NULL;
}

static void *unlock(void *mutex)
{
    return (void *)(intptr_t)pthread_mutex_unlock(mutex);
}

static void *lock_and_unlock(void *mutex)
{
    CHECK_EQ(pthread_mutex_lock(mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(mutex), 0);
    return NULL;
}

/* With `m` held by another thread. */
static void with_held(pthread_mutex_t *m, void (*fn)(pthread_mutex_t *m))
{
    struct held h = {.mutex = m};

    sem_init(&h.held, 0, 0);
    sem_init(&h.release, 0, 0);
    pthread_t thread = start(hold, &h);
    sem_wait(&h.held);
    fn(m);
    sem_post(&h.release);
    join(thread);
    sem_destroy(&h.held);
    sem_destroy(&h.release);
}

static void expect_busy(pthread_mutex_t *m)
{
    struct timespec soon = in_ms(CLOCK_REALTIME, 20), past = {0}, bad = {.tv_nsec = -1};

    CHECK_EQ(pthread_mutex_trylock(m), EBUSY);
    CHECK_EQ(pthread_mutex_destroy(m), EBUSY);
    CHECK_EQ(pthread_mutex_timedlock(m, &soon), ETIMEDOUT);
    CHECK_EQ(pthread_mutex_timedlock(m, &past), ETIMEDOUT);
    CHECK_EQ(pthread_mutex_timedlock(m, &bad), EINVAL);
    soon = in_ms(CLOCK_MONOTONIC, 20);
    CHECK_EQ(pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
}

TEST(pthread_mutex_normal,
     "A mutex excludes; a timed lock gives up; destroying a locked one fails.")
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    struct timespec past = {0};

    with_held(&m, expect_busy);
    CHECK_EQ(pthread_mutex_timedlock(&m, &past), 0);
    CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
    pthread_t thread = start(lock_and_unlock, &m);
    sleep_ms(10);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    join(thread);
    CHECK_EQ(pthread_mutex_destroy(&m), 0);
}

TEST(pthread_mutex_recursive, "A recursive mutex counts; only its owner may unlock it.")
{
    pthread_mutex_t m;
    pthread_mutexattr_t attr;
    int type = -1;

    REQUIRE_OK(pthread_mutexattr_init(&attr));
    CHECK_EQ(pthread_mutexattr_gettype(&attr, &type), 0);
    CHECK_EQ(type, PTHREAD_MUTEX_DEFAULT);
    CHECK_EQ(pthread_mutexattr_settype(&attr, 77), EINVAL);
    CHECK_EQ(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE), 0);
    REQUIRE_OK(pthread_mutex_init(&m, &attr));
    CHECK_EQ(pthread_mutexattr_destroy(&attr), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_trylock(&m), 0);
    CHECK_EQ((intptr_t)join(start(unlock, &m)), EPERM);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    with_held(&m, expect_busy);
    CHECK_EQ(pthread_mutex_destroy(&m), 0);
}

TEST(pthread_mutex_errorcheck, "An error-checking mutex says what is wrong.")
{
    pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    struct timespec soon = in_ms(CLOCK_REALTIME, 20);

    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
    CHECK_EQ(pthread_mutex_timedlock(&m, &soon), EDEADLK);
    CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
    CHECK_EQ((intptr_t)join(start(unlock, &m)), EPERM);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    with_held(&m, expect_busy);
    CHECK_EQ(pthread_mutex_destroy(&m), 0);
}

TEST(pthread_mutex_attributes, "What is not offered is refused.")
{
    pthread_mutexattr_t attr;
    int value = -1;

    REQUIRE_OK(pthread_mutexattr_init(&attr));
    CHECK_EQ(pthread_mutexattr_getprotocol(&attr, &value), 0);
    CHECK_EQ(value, PTHREAD_PRIO_NONE);
    CHECK_EQ(pthread_mutexattr_setprotocol(&attr, 77), EINVAL);
    CHECK_EQ(pthread_mutexattr_getrobust(&attr, &value), 0);
    CHECK_EQ(value, PTHREAD_MUTEX_STALLED);
    CHECK_EQ(pthread_mutexattr_setrobust(&attr, 77), EINVAL);
    CHECK_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_mutexattr_setpshared(&attr, 77), EINVAL);
#ifdef __parvus__
    CHECK_EQ(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), ENOTSUP);
    CHECK_EQ(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT), ENOTSUP);
    CHECK_EQ(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), ENOTSUP);
#endif
    pthread_mutexattr_destroy(&attr);
}

/* --- Condition variables ------------------------------------------------------------------------
 */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn, waiting;

static void *wait_for_turn(void *mine)
{
    pthread_mutex_lock(&mutex);
    waiting++;
    while (turn < (intptr_t)mine)
        pthread_cond_wait(&cond, &mutex);
    waiting--;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

TEST(pthread_cond_wakes, "A signal wakes one that waits, a broadcast all.")
{
    pthread_t threads[4];

    turn = waiting = 0;
    for (intptr_t i = 0; i < 4; i++)
        threads[i] = start(wait_for_turn, (void *)1);
    for (;;) {
        pthread_mutex_lock(&mutex);
        if (waiting == 4)
            break;
        pthread_mutex_unlock(&mutex);
        sleep_ms(1);
    }
    turn = 1;
    CHECK_EQ(pthread_cond_signal(&cond), 0);
    pthread_mutex_unlock(&mutex);
    sleep_ms(10);
    pthread_mutex_lock(&mutex);
    CHECK_EQ(waiting, 3);
    CHECK_EQ(pthread_cond_broadcast(&cond), 0);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_EQ(waiting, 0);
}

TEST(pthread_cond_timed, "A timed wait ends by the condition's clock, with the mutex held.")
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

    for (int i = 0; i < 2; i++) {
        struct timespec t, bad = {.tv_nsec = 1000000000};
        pthread_condattr_t attr;
        pthread_cond_t c;
        clockid_t clock;

        REQUIRE_OK(pthread_condattr_init(&attr));
        CHECK_EQ(pthread_condattr_setclock(&attr, clocks[i]), 0);
        CHECK_EQ(pthread_condattr_getclock(&attr, &clock), 0);
        CHECK_EQ(clock, clocks[i]);
        CHECK_EQ(pthread_condattr_setclock(&attr, 77), EINVAL);
        REQUIRE_OK(pthread_cond_init(&c, &attr));
        pthread_condattr_destroy(&attr);
        pthread_mutex_lock(&mutex);
        uint64_t before_ms = now_ms();
        t = in_ms(clocks[i], 50);
        CHECK_EQ(pthread_cond_timedwait(&c, &mutex, &t), ETIMEDOUT);
        CHECK_GE(now_ms() - before_ms, 49);
        CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
        CHECK_EQ(pthread_cond_timedwait(&c, &mutex, &(struct timespec){0}), ETIMEDOUT);
        CHECK_EQ(pthread_cond_timedwait(&c, &mutex, &bad), EINVAL);
        t = in_ms(CLOCK_MONOTONIC, 5);
        CHECK_EQ(pthread_cond_clockwait(&c, &mutex, CLOCK_MONOTONIC, &t), ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
        CHECK_EQ(pthread_cond_destroy(&c), 0);
    }
}

#define PLAYERS 4
#define ROUNDS 2000

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed[PLAYERS];
    int whose, played[PLAYERS];
} game = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *play(void *number)
{
    const int me = (int)(intptr_t)number, next = (me + 1) % PLAYERS;

    pthread_mutex_lock(&game.lock);
    for (int i = 0; i < ROUNDS; i++) {
        while (game.whose != me)
            pthread_cond_wait(&game.changed[me], &game.lock);
        game.played[me]++;
        game.whose = next;
        pthread_cond_signal(&game.changed[next]);
    }
    pthread_mutex_unlock(&game.lock);
    return NULL;
}

TEST(pthread_ping_pong, "Threads pass a turn around by mutex and conditions, thousands of times.")
{
    pthread_t threads[PLAYERS];

    game.whose = 0;
    for (intptr_t i = 0; i < PLAYERS; i++) {
        game.played[i] = 0;
        CHECK_EQ(pthread_cond_init(&game.changed[i], NULL), 0);
    }
    for (intptr_t i = 0; i < PLAYERS; i++)
        threads[i] = start(play, (void *)i);
    for (int i = 0; i < PLAYERS; i++) {
        join(threads[i]);
        CHECK_EQ(game.played[i], ROUNDS);
    }
}

static unsigned long shared_count;

static void *count_up(void *m)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(m);
        unsigned long now = shared_count;
        if (i % 1000 == 0)
            sched_yield();
        shared_count = now + 1;
        pthread_mutex_unlock(m);
    }
    return NULL;
}

TEST(pthread_mutex_stress, "Nothing is lost between threads that count under a mutex.")
{
    pthread_t threads[PLAYERS];

    shared_count = 0;
    for (int i = 0; i < PLAYERS; i++)
        threads[i] = start(count_up, &mutex);
    for (int i = 0; i < PLAYERS; i++)
        join(threads[i]);
    CHECK_EQ(shared_count, PLAYERS * 20000);
}

/* --- Read-write locks, once, barriers, spin locks -----------------------------------------------
 */

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int writers;

static void *write_lock(void *unused)
{
    (void)unused;
    CHECK_EQ(pthread_rwlock_wrlock(&rwlock), 0);
    atomic_fetch_add(&writers, 1);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    return NULL;
}

static void *read_busy(void *unused)
{
    struct timespec t = in_ms(CLOCK_REALTIME, 10);

    (void)unused;
    CHECK_EQ(pthread_rwlock_tryrdlock(&rwlock), EBUSY);
    CHECK_EQ(pthread_rwlock_trywrlock(&rwlock), EBUSY);
    CHECK_EQ(pthread_rwlock_timedrdlock(&rwlock, &t), ETIMEDOUT);
    CHECK_EQ(pthread_rwlock_timedwrlock(&rwlock, &t), ETIMEDOUT);
    return NULL;
}

static void *read_too(void *unused)
{
    (void)unused;
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    return NULL;
}

TEST(pthread_rwlock, "Readers share, also while a writer waits; a writer is alone.")
{
    struct timespec bad = {.tv_nsec = -1};

    atomic_store(&writers, 0);
    REQUIRE_OK(pthread_rwlock_rdlock(&rwlock));
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_trywrlock(&rwlock), EBUSY);
    pthread_t writer = start(write_lock, NULL);
    sleep_ms(10);
    CHECK_EQ(atomic_load(&writers), 0);
    join(start(read_too, NULL));
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    sleep_ms(10);
    CHECK_EQ(atomic_load(&writers), 0);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    join(writer);
    CHECK_EQ(atomic_load(&writers), 1);
    CHECK_EQ(pthread_rwlock_wrlock(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), EDEADLK);
    CHECK_EQ(pthread_rwlock_wrlock(&rwlock), EDEADLK);
    join(start(read_busy, NULL));
    pthread_t readers[] = {start(read_too, NULL), start(read_too, NULL)};
    writer = start(write_lock, NULL);
    sleep_ms(10);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    join(readers[0]);
    join(readers[1]);
    join(writer);
    CHECK_EQ(pthread_rwlock_timedwrlock(&rwlock, &bad), EINVAL);
    CHECK_EQ(pthread_rwlock_timedrdlock(&rwlock, &bad), EINVAL);
    CHECK_EQ(pthread_rwlock_wrlock(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_destroy(&rwlock), 0);
    CHECK_EQ(pthread_rwlock_init(&rwlock, NULL), 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int initialised;

static void initialise(void)
{
    sleep_ms(10);
    atomic_fetch_add(&initialised, 1);
}

static void *use_once(void *unused)
{
    (void)unused;
    CHECK_EQ(pthread_once(&once, initialise), 0);
    CHECK_EQ(atomic_load(&initialised), 1);
    return NULL;
}

TEST(pthread_once, "The first initialises, the others wait for it.")
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        threads[i] = start(use_once, NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    use_once(NULL);
}

static pthread_barrier_t barrier;
static atomic_int serial, arrived;

static void *meet(void *unused)
{
    (void)unused;
    for (int i = 1; i <= 50; i++) {
        atomic_fetch_add(&arrived, 1);
        int result = pthread_barrier_wait(&barrier);
        CHECK_GE(atomic_load(&arrived), i * 3);
        if (result == PTHREAD_BARRIER_SERIAL_THREAD)
            atomic_fetch_add(&serial, 1);
        else
            CHECK_EQ(result, 0);
    }
    return NULL;
}

TEST(pthread_barrier, "Nobody passes before all are there; one of them is told so.")
{
    pthread_t threads[3];

    CHECK_EQ(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
    REQUIRE_OK(pthread_barrier_init(&barrier, NULL, 3));
    for (int i = 0; i < 3; i++)
        threads[i] = start(meet, NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_EQ(atomic_load(&serial), 50);
    CHECK_EQ(pthread_barrier_destroy(&barrier), 0);
}

static pthread_spinlock_t spin;

static void *count_spinning(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5000; i++) {
        pthread_spin_lock(&spin);
        shared_count++;
        pthread_spin_unlock(&spin);
    }
    return NULL;
}

TEST(pthread_spin, "A spin lock excludes.")
{
    pthread_t threads[3];

    shared_count = 0;
    REQUIRE_OK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
    CHECK_EQ(pthread_spin_lock(&spin), 0);
    CHECK_EQ(pthread_spin_trylock(&spin), EBUSY);
    CHECK_EQ(pthread_spin_unlock(&spin), 0);
    for (int i = 0; i < 3; i++)
        threads[i] = start(count_spinning, NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_EQ(shared_count, 15000);
    CHECK_EQ(pthread_spin_destroy(&spin), 0);
}

TEST(semaphore, "A semaphore counts; waiting for it may be timed.")
{
    struct timespec t = in_ms(CLOCK_REALTIME, 20), bad = {.tv_nsec = -1};
    sem_t s;
    int value = -1;

    CHECK_FAILS(sem_init(&s, 0, SEM_VALUE_MAX + 1u), EINVAL);
    REQUIRE_OK(sem_init(&s, 0, 2));
    CHECK_OK(sem_wait(&s));
    CHECK_FAILS(sem_timedwait(&s, &bad), EINVAL);
    CHECK_OK(sem_timedwait(&s, &t));
    CHECK_OK(sem_getvalue(&s, &value));
    CHECK_EQ(value, 0);
    CHECK_FAILS(sem_trywait(&s), EAGAIN);
    CHECK_FAILS(sem_timedwait(&s, &t), ETIMEDOUT);
    CHECK_FAILS(sem_timedwait(&s, &bad), EINVAL);
    pthread_t thread = start(wait_for_gate, &s);
    sleep_ms(10);
    CHECK_OK(sem_post(&s));
    join(thread);
    CHECK_OK(sem_destroy(&s));
    REQUIRE_OK(sem_init(&s, 0, SEM_VALUE_MAX));
    CHECK_FAILS(sem_post(&s), EOVERFLOW);
    CHECK_OK(sem_destroy(&s));
}

TEST(semaphore_names,
     "A semaphore is found by its name, until it is unlinked; those who have it keep it.")
{
    char name[32], text[300];
    sem_t *first, *second;
    int value = -1;

    snprintf(name, sizeof(name), "/parvus-%d", (int)getpid());
    CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
    CHECK(sem_open("/a/b", O_CREAT, 0600, 1) == SEM_FAILED && errno == EINVAL);
    CHECK(sem_open("/", O_CREAT, 0600, 1) == SEM_FAILED && errno == EINVAL);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    CHECK(sem_open(text, O_CREAT, 0600, 1) == SEM_FAILED);
    CHECK(errno == ENAMETOOLONG || errno == EINVAL); /* glibc */
    CHECK(sem_open(name, O_CREAT, 0600, SEM_VALUE_MAX + 1u) == SEM_FAILED && errno == EINVAL);
    first = sem_open(name, O_CREAT | O_EXCL, 0600, 3);
    REQUIRE_OK(first == SEM_FAILED);
    CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 3) == SEM_FAILED && errno == EEXIST);
    second = sem_open(name, O_CREAT, 0600, 7);
    CHECK(second == first);
    CHECK_OK(sem_wait(second));
    CHECK_OK(sem_getvalue(first, &value));
    CHECK_EQ(value, 2);
    CHECK_OK(sem_close(second));
    CHECK_OK(sem_unlink(name));
    CHECK_FAILS(sem_unlink(name), ENOENT);
    CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
    second = sem_open(name, O_CREAT, 0600, 0); /* another one */
    CHECK(second != first);
    CHECK_FAILS(sem_trywait(second), EAGAIN);
    CHECK_OK(sem_trywait(first));
    CHECK_OK(sem_close(first));
    CHECK_OK(sem_unlink(name));
    CHECK_OK(sem_close(second));
}

/* --- Thread-specific data -----------------------------------------------------------------------
 */

static pthread_key_t keys[3];
static char destroyed[32];
static __thread int local = 5;

static void destroy(void *name)
{
    strcat(destroyed, name);
}

/* Stores anew three times: four rounds in all. */
static void destroy_stubborn(void *name)
{
    strcat(destroyed, name);
    pthread_setspecific(keys[1], name);
}

static void *use_keys(void *deleted)
{
    CHECK(pthread_getspecific(keys[0]) == NULL);
    CHECK_EQ(pthread_setspecific(keys[0], "a"), 0);
    CHECK_EQ(pthread_setspecific(keys[1], "b"), 0);
    CHECK_EQ(pthread_setspecific(keys[2], "c"), 0);
    CHECK(strcmp(pthread_getspecific(keys[1]), "b") == 0);
    if (deleted != NULL)
        CHECK_EQ(pthread_key_delete(keys[2]), 0);
    CHECK_EQ(local++, 5);
    return NULL;
}

TEST(pthread_keys, "Values are each thread's own; destructors run at its end, in rounds.")
{
    pthread_key_t many[PTHREAD_KEYS_MAX + 1], stale;
    int count = 0;

    REQUIRE_OK(pthread_key_create(&keys[0], destroy));
    REQUIRE_OK(pthread_key_create(&keys[1], destroy_stubborn));
    REQUIRE_OK(pthread_key_create(&keys[2], destroy));
    destroyed[0] = 0;
    CHECK_EQ(pthread_setspecific(keys[0], "main"), 0);
    join(start(use_keys, NULL));
    CHECK_OK(strcmp(destroyed, "abcbbb"));
    destroyed[0] = 0;
    join(start(use_keys, "delete"));
    CHECK_OK(strcmp(destroyed, "abbbb"));
    CHECK(strcmp(pthread_getspecific(keys[0]), "main") == 0);
    CHECK_EQ(pthread_key_delete(keys[2]), EINVAL);
    while (count <= PTHREAD_KEYS_MAX && pthread_key_create(&many[count], NULL) == 0)
        count++;
    CHECK_LT(count, PTHREAD_KEYS_MAX + 1);
    CHECK_EQ(pthread_setspecific(many[0], "old"), 0);
    stale = many[0];
    while (count > 0)
        CHECK_EQ(pthread_key_delete(many[--count]), 0);
    CHECK_EQ(pthread_key_create(&many[0], NULL), 0);
    if (many[0] == stale)
        CHECK(pthread_getspecific(many[0]) == NULL);
    CHECK_EQ(pthread_key_delete(many[0]), 0);
    CHECK_EQ(pthread_key_delete(keys[0]), 0);
    CHECK_EQ(pthread_key_delete(keys[1]), 0);
    CHECK_EQ(pthread_setspecific(keys[0], "x"), EINVAL);
}

/* --- Cancellation -------------------------------------------------------------------------------
 */

static char cleaned[16];

static void clean(void *name)
{
    strcat(cleaned, name);
}

static void clean_mutex(void *m)
{
    CHECK_EQ(pthread_mutex_unlock(m), 0); /* ours again */
    strcat(cleaned, "m");
}

static int ends[2];

static void *in_read(void *unused)
{
    char c;

    pthread_cleanup_push(clean, "1");
    pthread_cleanup_push(clean, "2");
    CHECK_EQ(read(ends[0], &c, 1), 77);
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(1);
    return unused;
}

static void *in_cond_wait(void *unused)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(clean_mutex, &mutex);
    for (;;)
        pthread_cond_wait(&cond, &mutex);
    pthread_cleanup_pop(0);
    return unused;
}

static void *in_sem_wait(void *sem)
{
    for (;;)
        sem_wait(sem);
    return NULL;
}

static void *in_sleep(void *unused)
{
    for (;;)
        sleep(100);
    return unused;
}

static void *in_join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static atomic_bool ready, go;

static void *in_loop(void *unused)
{
    int old = -1;

    CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    CHECK_EQ(old, PTHREAD_CANCEL_ENABLE);
    CHECK_EQ(pthread_setcancelstate(77, NULL), EINVAL);
    CHECK_EQ(pthread_setcanceltype(77, NULL), EINVAL);
    atomic_store(&ready, true);
    while (!atomic_load(&go))
        sleep_ms(1);
    pthread_testcancel();
    strcat(cleaned, "d");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    CHECK_EQ(old, PTHREAD_CANCEL_DISABLE);
    pthread_testcancel();
    strcat(cleaned, "not");
    return unused;
}

static void *in_asynchronous_loop(void *unused)
{
    int old = -1;

    CHECK_EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old), 0);
    CHECK_EQ(old, PTHREAD_CANCEL_DEFERRED);
    atomic_store(&ready, true);
    for (;;)
        ;
    return unused;
}

static void cancel_and_join(pthread_t thread)
{
    sleep_ms(10);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
}

TEST(pthread_cancel_points, "A cancelled thread ends where it sleeps; its clean-up runs.")
{
    sem_t s;

    cleaned[0] = 0;
    REQUIRE_OK(pipe(ends));
    cancel_and_join(start(in_read, NULL));
    CHECK_OK(strcmp(cleaned, "21"));
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    cleaned[0] = 0;
    cancel_and_join(start(in_cond_wait, NULL));
    CHECK_OK(strcmp(cleaned, "m"));
    CHECK_EQ(pthread_mutex_trylock(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    REQUIRE_OK(sem_init(&s, 0, 0));
    cancel_and_join(start(in_sem_wait, &s));
    cancel_and_join(start(in_sleep, NULL));
    pthread_t sleeper = start(wait_for_gate, &s);
    cancel_and_join(start(in_join, &sleeper));
    CHECK_OK(sem_post(&s));
    join(sleeper);
    sem_destroy(&s);
}

TEST(pthread_cancel_states, "Disabled, a cancellation waits; asynchronous, it waits for nothing.")
{
    cleaned[0] = 0;
    atomic_store(&ready, false);
    pthread_t thread = start(in_loop, NULL);
    while (!atomic_load(&ready))
        sleep_ms(1);
    CHECK_EQ(pthread_cancel(thread), 0);
    sleep_ms(10);
    atomic_store(&go, true);
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK_OK(strcmp(cleaned, "d"));
    atomic_store(&ready, false);
    thread = start(in_asynchronous_loop, NULL);
    while (!atomic_load(&ready))
        sleep_ms(1);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
}

static void *exit_in_clean_up(void *value)
{
    pthread_cleanup_push(clean, "x");
    pthread_cleanup_push(clean, "y");
    pthread_cleanup_pop(0);
    pthread_exit(value);
    pthread_cleanup_pop(0);
    return NULL;
}

TEST(pthread_cleanup, "pthread_exit runs the clean-up handlers that are left.")
{
    int x;

    cleaned[0] = 0;
    CHECK(join(start(exit_in_clean_up, &x)) == &x);
    CHECK_OK(strcmp(cleaned, "x"));
}

/* --- C11 ----------------------------------------------------------------------------------------
 */

static mtx_t c_mutex;
static cnd_t c_cond;
static tss_t c_key;
static int c_value;
static once_flag c_once = ONCE_FLAG_INIT;

static void c_initialise(void)
{
    c_value++;
}

static int c_thread(void *arg)
{
    call_once(&c_once, c_initialise);
    CHECK_EQ(tss_set(c_key, arg), thrd_success);
    CHECK(tss_get(c_key) == arg);
    CHECK_EQ(mtx_lock(&c_mutex), thrd_success);
    c_value += 10;
    CHECK_EQ(cnd_signal(&c_cond), thrd_success);
    CHECK_EQ(mtx_unlock(&c_mutex), thrd_success);
    thrd_exit(42);
}

TEST(c11_threads, "C11's threads work.")
{
    struct timespec soon = in_ms(CLOCK_REALTIME, 10);
    thrd_t thread;
    int result = 0;

    REQUIRE_EQ(mtx_init(&c_mutex, mtx_timed | mtx_recursive), thrd_success);
    REQUIRE_EQ(cnd_init(&c_cond), thrd_success);
    REQUIRE_EQ(tss_create(&c_key, NULL), thrd_success);
    CHECK_EQ(mtx_lock(&c_mutex), thrd_success);
    CHECK_EQ(mtx_trylock(&c_mutex), thrd_success);
    CHECK_EQ(mtx_unlock(&c_mutex), thrd_success);
    REQUIRE_EQ(thrd_create(&thread, c_thread, &result), thrd_success);
    while (c_value != 11)
        CHECK_EQ(cnd_wait(&c_cond, &c_mutex), thrd_success);
    CHECK_EQ(cnd_timedwait(&c_cond, &c_mutex, &soon), thrd_timedout);
    CHECK_EQ(mtx_unlock(&c_mutex), thrd_success);
    CHECK_EQ(thrd_join(thread, &result), thrd_success);
    CHECK_EQ(result, 42);
    CHECK(thrd_equal(thrd_current(), thrd_current()));
    CHECK_EQ(thrd_sleep(&(struct timespec){.tv_nsec = 1000}, NULL), 0);
    thrd_yield();
    tss_delete(c_key);
    cnd_destroy(&c_cond);
    mtx_destroy(&c_mutex);
}
