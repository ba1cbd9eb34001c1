/*
 * Threads: creation, results, many at once, priorities, preemption, thread-local storage.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

/* Ends loops that wait for what never comes: far longer than any host takes. */
#define GIVE_UP_MS 60000

static const struct thread_attr high = {.name = "high", .priority = THREAD_PRIORITY_HIGH};
static const struct thread_attr low = {.name = "low", .priority = THREAD_PRIORITY_LOW};

/* --- Life ----------------------------------------------------------------------------------- */

static void *plus_one(void *arg)
{
    return (char *)arg + 1;
}

static void *exits_early(void *arg)
{
    thread_exit((char *)arg + 2);
}

TEST(thread_result, "A thread's result reaches who joins it, by return and by thread_exit.")
{
    struct thread *t;
    void *result;

    REQUIRE_OK(thread_create(&t, NULL, plus_one, (void *)41));
    CHECK_OK(thread_join(t, &result));
    CHECK_EQ((uintptr_t)result, 42);
    REQUIRE_OK(thread_create(&t, NULL, exits_early, (void *)41));
    CHECK_OK(thread_join(t, &result));
    CHECK_EQ((uintptr_t)result, 43);
    REQUIRE_OK(thread_create(&t, NULL, plus_one, NULL));
    CHECK_OK(thread_join(t, NULL));
}

TEST(thread_thousand, "1,000 threads are created and joined, one after another, and leave nothing.")
{
    struct thread *t;
    void *result;

    REQUIRE_OK(thread_create(&t, NULL, plus_one, NULL)); /* what the first one ever needs */
    REQUIRE_OK(thread_join(t, NULL));
    uint64_t before = free_pages();
    for (uintptr_t i = 0; i < 1000 && !test_has_failed(); i++) {
        REQUIRE_OK(thread_create(&t, NULL, plus_one, (void *)i));
        REQUIRE_OK(thread_join(t, &result));
        CHECK_EQ((uintptr_t)result, i + 1);
    }
    CHECK_EQ(free_pages(), before);
}

#define CROWD 1000
static struct thread *crowd[CROWD];
static struct semaphore gate = SEMAPHORE_INIT(0);

static void *wait_at_gate(void *arg)
{
    semaphore_wait(&gate);
    return (char *)arg + 1;
}

/* Starts up to `limit` threads that wait at the gate; how many there were memory for. */
static uintptr_t gather(uintptr_t limit)
{
    const struct thread_attr small = {.name = "crowd", .stack_bytes = THREAD_STACK_MIN_BYTES};
    uintptr_t count = 0;

    while (count < limit && thread_create(&crowd[count], &small, wait_at_gate, (void *)count) == 0)
        count++;
    return count;
}

static void disperse(uintptr_t count)
{
    void *result;

    for (uintptr_t i = 0; i < count; i++)
        semaphore_post(&gate);
    for (uintptr_t i = 0; i < count; i++) {
        CHECK_OK(thread_join(crowd[i], &result));
        CHECK_EQ((uintptr_t)result, i + 1);
    }
}

TEST(thread_crowd, "1,000 threads are alive at once, and all of them return their results.")
{
    unsigned before = thread_count();
    uintptr_t count = gather(CROWD);

    CHECK_EQ(count, CROWD);
    CHECK_EQ(thread_count(), before + count);
    settle(); /* all of them reach the gate */
    disperse(count);
    uint64_t pages = free_pages();
    disperse(gather(CROWD));
    CHECK_EQ(free_pages(), pages);
}

TEST(thread_attributes, "Names and priorities are as asked for; what makes no sense is refused.")
{
    static const struct thread_attr refused[] = {
        {.priority = -1},
        {.priority = THREAD_PRIORITIES},
        {.stack_bytes = THREAD_STACK_MIN_BYTES - 1},
        {.stack_bytes = SIZE_MAX},
        {.stack_bytes = 1ul << 40},
    };
    const struct thread_attr named = {.name = "a name that is too long",
                                      .priority = THREAD_PRIORITY_LOW};
    struct thread *t;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (!CHECK_EQ(thread_create(&t, &refused[i], plus_one, NULL), -EINVAL))
            FAIL("attribute %zu", i);
    CHECK_EQ(strcmp(thread_name(thread_self()), "main"), 0);
    REQUIRE_OK(thread_create(&t, &named, plus_one, NULL));
    CHECK_EQ(strcmp(thread_name(t), "a name that is "), 0);
    CHECK_EQ(thread_priority(t), THREAD_PRIORITY_LOW);
    CHECK_EQ(thread_set_priority(t, THREAD_PRIORITY_IDLE), -EINVAL);
    CHECK_EQ(thread_set_priority(t, THREAD_PRIORITIES), -EINVAL);
    CHECK_OK(thread_join(t, NULL));
    REQUIRE_OK(thread_create(&t, NULL, plus_one, NULL));
    CHECK_EQ(strcmp(thread_name(t), "main"), 0);
    CHECK_EQ(thread_priority(t), THREAD_PRIORITY_DEFAULT);
    CHECK_OK(thread_join(t, NULL));
}

static void *try_join(void *t)
{
    return (void *)(intptr_t)thread_join(t, NULL);
}

TEST(thread_join_errors, "Joining oneself, a joined or a detached thread is refused.")
{
    struct thread *t, *joiner, *second;
    void *result;

    CHECK_EQ(thread_join(thread_self(), NULL), -EDEADLK);
    REQUIRE_OK(thread_create(&t, NULL, wait_at_gate, NULL));
    REQUIRE_OK(thread_create(&joiner, &high, try_join, t));
    REQUIRE_OK(thread_create(&second, &high, try_join, t));
    CHECK_OK(thread_join(second, &result));
    CHECK_EQ((intptr_t)result, -EINVAL);
    CHECK_EQ(thread_detach(t), -EINVAL);
    semaphore_post(&gate);
    CHECK_OK(thread_join(joiner, &result));
    CHECK_EQ((intptr_t)result, 0);

    REQUIRE_OK(thread_create(&t, NULL, wait_at_gate, NULL));
    CHECK_OK(thread_detach(t));
    CHECK_EQ(thread_detach(t), -EINVAL);
    CHECK_EQ(thread_join(t, NULL), -EINVAL);
    semaphore_post(&gate);
    settle();
}

TEST(thread_detached, "Detached threads free themselves, those that ended before as well.")
{
    struct thread *t;
    uint64_t before = 0;

    for (int i = 0; i < 200; i++) {
        REQUIRE_OK(thread_create(&t, i % 2 ? &high : NULL, plus_one, NULL));
        REQUIRE_OK(thread_detach(t)); /* a high one has ended already */
        thread_yield();
        if (i == 20)
            before = free_pages();
    }
    REQUIRE_OK(thread_create(&t, NULL, plus_one, NULL)); /* frees the last of them */
    CHECK_OK(thread_join(t, NULL));
    CHECK_GE(free_pages(), before);
}

/* --- Thread-local storage ------------------------------------------------------------------- */

static __thread int initialised = 5;
static __thread char zeroed[100];
static __thread long aligned __attribute__((aligned(64))) = 7;

static void *check_tls(void *arg)
{
    int mine = (int)(intptr_t)arg;

    CHECK_EQ(initialised, 5);
    CHECK_EQ(aligned, 7);
    CHECK_EQ((uintptr_t)&aligned % 64, 0);
    for (size_t i = 0; i < sizeof(zeroed); i++)
        CHECK_EQ(zeroed[i], 0);
    initialised = mine;
    memset(zeroed, mine, sizeof(zeroed));
    for (int i = 0; i < 10; i++) {
        thread_yield();
        CHECK_EQ(initialised, mine);
        CHECK_EQ(zeroed[50], mine);
    }
    return &initialised;
}

TEST(thread_tls, "Each thread has thread-local variables of its own, initialised and aligned.")
{
    struct thread *t[8];
    void *where[8];

    for (intptr_t i = 0; i < 8; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, check_tls, (void *)(100 + i)));
    for (int i = 0; i < 8; i++) {
        CHECK_OK(thread_join(t[i], &where[i]));
        CHECK(where[i] != &initialised);
        for (int j = 0; j < i; j++)
            CHECK(where[i] != where[j]);
    }
    CHECK_EQ(initialised, 5);
}

/* --- Scheduling ----------------------------------------------------------------------------- */

static atomic_ulong spins[4];
static atomic_bool stop;
static struct timer give_up;

static void give_up_now(void *unused)
{
    (void)unused;
    FAIL("gave up after %u s", GIVE_UP_MS / 1000);
    atomic_store(&stop, true);
}

/* Until end_watch(), `stop` is set when something takes for ever. */
static void begin_watch(void)
{
    atomic_store(&stop, false);
    memset(spins, 0, sizeof(spins));
    timer_set(&give_up, ms_from_now(GIVE_UP_MS), give_up_now, NULL);
}

static void end_watch(void)
{
    timer_cancel(&give_up);
    atomic_store(&stop, true);
}

static void *spin(void *counter)
{
    while (!atomic_load(&stop))
        atomic_fetch_add((atomic_ulong *)counter, 1);
    return NULL;
}

TEST(thread_preempt_equal, "Threads of equal priority that never call anything share the CPU.")
{
    struct thread *t[3];
    unsigned long seen[3];

    begin_watch();
    for (int i = 0; i < 3; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, spin, &spins[i]));
    /* This thread spins as well, and waits for each of them to have run in five different turns. */
    for (int turn = 0; turn < 5; turn++) {
        for (int i = 0; i < 3; i++)
            seen[i] = atomic_load(&spins[i]);
        for (int i = 0; i < 3; i++)
            while (atomic_load(&spins[i]) == seen[i] && !atomic_load(&stop))
                ;
    }
    end_watch();
    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_join(t[i], NULL));
}

static void *set_on_post(void *flag)
{
    semaphore_wait(&gate);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void post_gate(void *unused)
{
    (void)unused;
    semaphore_post(&gate);
}

TEST(thread_preempt_higher, "A thread woken by an event takes the CPU from one of lower priority.")
{
    struct timer timer = {0};
    atomic_bool ran = false;
    struct thread *t;

    begin_watch();
    REQUIRE_OK(thread_create(&t, &high, set_on_post, &ran));
    timer_set(&timer, ms_from_now(2), post_gate, NULL);
    while (!atomic_load(&ran) && !atomic_load(&stop))
        ; /* never calls anything */
    CHECK(atomic_load(&ran));
    end_watch();
    timer_cancel(&timer);
    CHECK_OK(thread_join(t, NULL));
}

TEST(thread_wake_higher, "Waking a thread of higher priority runs it before the call returns.")
{
    atomic_bool ran = false;
    struct thread *t;

    REQUIRE_OK(thread_create(&t, &high, set_on_post, &ran));
    CHECK(!atomic_load(&ran));
    semaphore_post(&gate);
    CHECK(atomic_load(&ran));
    CHECK_OK(thread_join(t, NULL));
    /* A lower one has to wait until we do. */
    atomic_store(&ran, false);
    REQUIRE_OK(thread_create(&t, &low, set_on_post, &ran));
    semaphore_post(&gate);
    thread_yield();
    CHECK(!atomic_load(&ran));
    CHECK_OK(thread_join(t, NULL));
    CHECK(atomic_load(&ran));
}

TEST(thread_priority_strict, "A thread of lower priority does not run while another one can.")
{
    struct thread *lower, *equal;

    begin_watch();
    REQUIRE_OK(thread_create(&lower, &low, spin, &spins[0]));
    REQUIRE_OK(thread_create(&equal, NULL, spin, &spins[1]));
    for (int turn = 0; turn < 5; turn++) {
        unsigned long seen = atomic_load(&spins[1]);

        while (atomic_load(&spins[1]) == seen && !atomic_load(&stop))
            ;
    }
    CHECK_EQ(atomic_load(&spins[0]), 0);
    end_watch();
    CHECK_OK(thread_join(equal, NULL));
    CHECK_OK(thread_join(lower, NULL));
}

TEST(thread_set_priority, "A change of priority takes effect at once, either way.")
{
    struct thread *t;

    begin_watch();
    REQUIRE_OK(thread_create(&t, &low, spin, &spins[0]));
    thread_yield();
    CHECK_EQ(atomic_load(&spins[0]), 0);
    CHECK_OK(thread_set_priority(t, THREAD_PRIORITY_DEFAULT));
    while (!atomic_load(&spins[0]) && !atomic_load(&stop))
        thread_yield();
    CHECK_OK(thread_set_priority(t, THREAD_PRIORITY_LOW));
    unsigned long seen = atomic_load(&spins[0]);
    thread_yield();
    CHECK_EQ(atomic_load(&spins[0]), seen);
    end_watch();
    CHECK_OK(thread_join(t, NULL));
}

/* Appends its number to a list whenever it gets the CPU. */
static char turns[64];
static atomic_uint nr_turns;

static void *yield_in_turn(void *name)
{
    for (int i = 0; i < 4; i++) {
        turns[atomic_fetch_add(&nr_turns, 1)] = (char)(uintptr_t)name;
        thread_yield();
    }
    return NULL;
}

TEST(thread_yield_order, "Yielding passes the CPU round among equals.")
{
    struct thread *t[3];

    /* A host that stops for a time slice may change the order once, but hardly each time. */
    for (int attempt = 0; attempt < 5; attempt++) {
        memset(turns, 0, sizeof(turns));
        atomic_store(&nr_turns, 0);
        for (uintptr_t i = 0; i < 3; i++)
            REQUIRE_OK(thread_create(&t[i], NULL, yield_in_turn, (void *)('a' + i)));
        for (int i = 0; i < 3; i++)
            CHECK_OK(thread_join(t[i], NULL));
        if (strcmp(turns, "abcabcabcabc") == 0)
            return;
    }
    FAIL("the turns were %s", turns);
}
