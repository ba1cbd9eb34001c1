/*
 * Sleeping, timers, the clocks.
 */
#include <stdatomic.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

static const struct thread_attr high = {.name = "high", .priority = THREAD_PRIORITY_HIGH};

/* --- Sleep ---------------------------------------------------------------------------------- */

TEST(sleep_lower_bound, "A sleep never ends before its deadline; one in the past ends at once.")
{
    static const uint64_t sleeps_ns[] = {
        0, 1, 1000, 50000, NS_PER_MS, 3 * NS_PER_MS, 20 * NS_PER_MS};

    for (size_t i = 0; i < sizeof(sleeps_ns) / sizeof(sleeps_ns[0]); i++) {
        for (int turn = 0; turn < 5; turn++) {
            uint64_t deadline_ns = clock_monotonic_ns() + sleeps_ns[i];

            CHECK_OK(thread_sleep_until(deadline_ns));
            CHECK_GE(clock_monotonic_ns(), deadline_ns);
        }
    }
    CHECK_OK(thread_sleep_until(0));
    CHECK_OK(thread_sleep_until(clock_monotonic_ns()));
}

#define SLEEPERS 20

static struct {
    uint64_t deadline_ns;
    unsigned place;
} sleepers[SLEEPERS];
static atomic_uint woken;

static void *sleep_and_note(void *arg)
{
    uintptr_t i = (uintptr_t)arg;

    thread_sleep_until(sleepers[i].deadline_ns);
    CHECK_GE(clock_monotonic_ns(), sleepers[i].deadline_ns);
    sleepers[i].place = atomic_fetch_add(&woken, 1);
    return NULL;
}

static bool is_in_order(void)
{
    for (unsigned i = 0; i < SLEEPERS; i++)
        for (unsigned j = 0; j < SLEEPERS; j++)
            if (sleepers[i].deadline_ns < sleepers[j].deadline_ns &&
                sleepers[i].place > sleepers[j].place)
                return false;
    return true;
}

static void sleep_in_order(struct random *random, unsigned after_ms)
{
    struct thread *t[SLEEPERS];
    uint64_t start_ns = ms_from_now(after_ms);

    atomic_store(&woken, 0);
    for (unsigned i = 0; i < SLEEPERS; i++)
        sleepers[i].deadline_ns = start_ns + i * 300 * NS_PER_US;
    for (unsigned i = SLEEPERS - 1; i > 0; i--) { /* shuffled */
        unsigned j = random_below(random, i + 1);
        uint64_t other = sleepers[i].deadline_ns;

        sleepers[i].deadline_ns = sleepers[j].deadline_ns;
        sleepers[j].deadline_ns = other;
    }
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, sleep_and_note, (void *)i));
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_OK(thread_join(t[i], NULL));
}

TEST(sleep_order, "Sleepers wake in the order of their deadlines, however they were started.")
{
    struct random random = RANDOM(5);

    /* All are to sleep before the first is to wake, which takes a busy host long. One may also be
     * preempted between its waking and its note; but hardly each time. */
    for (unsigned after_ms = 20; after_ms < 10000; after_ms *= 3) {
        sleep_in_order(&random, after_ms);
        if (test_has_failed() || is_in_order())
            return;
    }
    FAIL("each time out of order");
}

/* --- Timers --------------------------------------------------------------------------------- */

static struct semaphore fired;
static atomic_uint nr_fired;

static void fire(void *at_ns)
{
    CHECK(pv_upcall()->mask); /* event context */
    if (at_ns)
        *(uint64_t *)at_ns = clock_monotonic_ns();
    atomic_fetch_add(&nr_fired, 1);
    semaphore_post(&fired);
}

static void reset_fired(void)
{
    semaphore_init(&fired, 0);
    atomic_store(&nr_fired, 0);
}

TEST(timer_once, "A timer fires once, not before its deadline, in event context.")
{
    struct timer timer = {0};
    uint64_t at_ns = 0, deadline_ns = ms_from_now(3);

    reset_fired();
    timer_set(&timer, deadline_ns, fire, &at_ns);
    semaphore_wait(&fired);
    CHECK_GE(at_ns, deadline_ns);
    sleep_ms(5);
    CHECK_EQ(atomic_load(&nr_fired), 1);
    CHECK(!timer_cancel(&timer));
}

TEST(timer_past, "A deadline that has passed fires soon.")
{
    struct timer timer = {0};

    reset_fired();
    timer_set(&timer, 0, fire, NULL);
    semaphore_wait(&fired);
    timer_set(&timer, clock_monotonic_ns(), fire, NULL);
    semaphore_wait(&fired);
    CHECK_EQ(atomic_load(&nr_fired), 2);
}

TEST(timer_cancel, "A cancelled timer does not fire, and cancelling tells whether it was armed.")
{
    struct timer timer = {0};

    reset_fired();
    CHECK(!timer_cancel(&timer));
    bool unmask = pv_events_mask(); /* it cannot fire meanwhile, however slow the host */
    timer_set(&timer, ms_from_now(3), fire, NULL);
    CHECK(timer_cancel(&timer));
    CHECK(!timer_cancel(&timer));
    pv_events_restore(unmask);
    sleep_ms(6);
    CHECK_EQ(atomic_load(&nr_fired), 0);
}

TEST(timer_rearm, "Setting an armed timer moves it, later or earlier: it still fires once.")
{
    struct timer timer = {0};
    uint64_t at_ns = 0, deadline_ns = ms_from_now(10);

    reset_fired();
    bool unmask = pv_events_mask();
    timer_set(&timer, ms_from_now(2), fire, &at_ns);
    timer_set(&timer, deadline_ns, fire, &at_ns);
    pv_events_restore(unmask);
    semaphore_wait(&fired);
    CHECK_GE(at_ns, deadline_ns);
    timer_set(&timer, ms_from_now(3600 * 1000), fire, &at_ns);
    timer_set(&timer, ms_from_now(2), fire, &at_ns);
    semaphore_wait(&fired);
    sleep_ms(3);
    CHECK_EQ(atomic_load(&nr_fired), 2);
}

#define TIMERS 200

TEST(timer_many, "200 timers, a third of them cancelled: the rest fire once, none too soon.")
{
    static struct timer timers[TIMERS];
    static uint64_t deadlines_ns[TIMERS], at_ns[TIMERS];
    struct random random = RANDOM(7);
    unsigned expected = 0;

    reset_fired();
    memset(at_ns, 0, sizeof(at_ns));
    for (int i = 0; i < TIMERS; i++) {
        deadlines_ns[i] = ms_from_now(30) + random_below(&random, 20000) * NS_PER_US;
        timer_set(&timers[i], deadlines_ns[i], fire, &at_ns[i]);
    }
    for (int i = 0; i < TIMERS; i++) {
        /* On a slow host some have fired already. */
        if (i % 3 == 0 && timer_cancel(&timers[i]))
            deadlines_ns[i] = 0;
        else
            expected++;
    }
    for (unsigned i = 0; i < expected; i++)
        semaphore_wait(&fired);
    CHECK_EQ(atomic_load(&nr_fired), expected);
    for (int i = 0; i < TIMERS; i++) {
        if (deadlines_ns[i] == 0)
            CHECK_EQ(at_ns[i], 0);
        else
            CHECK_GE(at_ns[i], deadlines_ns[i]);
    }
    for (int i = 0; i < TIMERS; i++)
        CHECK(!timer_cancel(&timers[i]));
}

static struct timer periodic;

static void fire_again(void *unused)
{
    if (atomic_fetch_add(&nr_fired, 1) + 1 < 50)
        timer_set(&periodic, clock_monotonic_ns() + 100 * NS_PER_US, fire_again, unused);
    else
        semaphore_post(&fired);
}

TEST(timer_from_handler, "A timer's function may set its own timer again, 50 times.")
{
    reset_fired();
    timer_set(&periodic, clock_monotonic_ns(), fire_again, NULL);
    semaphore_wait(&fired);
    CHECK_EQ(atomic_load(&nr_fired), 50);
}

/* --- Clocks --------------------------------------------------------------------------------- */

static atomic_bool stop;
static _Atomic uint64_t latest_ns;
static atomic_uint switches;

/* Wakes all the time, and reads the clock in between the other readers' reads. */
static void *interrupt_readers(void *unused)
{
    while (!atomic_load(&stop)) {
        uint64_t seen_ns = atomic_load(&latest_ns), now_ns = clock_monotonic_ns();

        CHECK_GE(now_ns, seen_ns);
        atomic_fetch_add(&switches, 1);
        thread_sleep_until(now_ns + 300 * NS_PER_US);
    }
    return unused;
}

/* Each sees its own reads and, by latest_ns, those of the others go forward only. */
static void *read_clock(void *reads)
{
    uint64_t last_ns = 0;

    for (uintptr_t i = 0; i < (uintptr_t)reads; i++) {
        uint64_t others_ns = atomic_load(&latest_ns), now_ns = clock_monotonic_ns();

        if (now_ns < last_ns || now_ns < others_ns) {
            FAIL("read %lu: 0x%lx after 0x%lx (own), 0x%lx (others')", i, now_ns, last_ns,
                 others_ns);
            break;
        }
        last_ns = now_ns;
        atomic_store_explicit(&latest_ns, now_ns, memory_order_relaxed);
    }
    return NULL;
}

TEST(clock_monotonic, "The clock never goes backwards, in 10 million reads by preempted threads.")
{
    const uintptr_t reads = scaled(10000000) / 4;
    struct thread *t[4], *interrupter;

    atomic_store(&stop, false);
    atomic_store(&latest_ns, 0);
    atomic_store(&switches, 0);
    REQUIRE_OK(thread_create(&interrupter, &high, interrupt_readers, NULL));
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, read_clock, (void *)reads));
    for (int i = 0; i < 4; i++)
        CHECK_OK(thread_join(t[i], NULL));
    atomic_store(&stop, true);
    CHECK_OK(thread_join(interrupter, NULL));
    CHECK_LT(2, atomic_load(&switches));
}

TEST(clock_wall, "The wall clock is of this century and keeps step with the monotonic one.")
{
    const uint64_t year_2020_ns = 1577836800 * NS_PER_SECOND;
    const uint64_t year_2100_ns = 4102444800 * NS_PER_SECOND;

    CHECK_LT(year_2020_ns, clock_wall_ns());
    CHECK_LT(clock_wall_ns(), year_2100_ns);

    /* What passes on one clock between two reads of the other passes on that one, too. */
    uint64_t wall_ns = clock_wall_ns(), monotonic_ns = clock_monotonic_ns();
    sleep_ms(5);
    uint64_t monotonic_later_ns = clock_monotonic_ns(), wall_later_ns = clock_wall_ns();
    CHECK_GE(wall_later_ns - wall_ns + 1000, monotonic_later_ns - monotonic_ns);
}
