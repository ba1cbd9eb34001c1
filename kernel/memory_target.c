/*
 * Follows the memory target. What cannot be done at once, as the memory is in use, or the host has
 * none, is tried again until it can or the target changes.
 *
 * Callers: kernel/xen_memory.c, kernel/virtio/balloon.c, kernel/vm.c, kernel/heap.c. Ring 3. Lock:
 * `turn`, for each exchange with the host, whether of the thread or of one that lacks memory.
 */
#include "kernel/memory_target.h"

#include <errno.h>

#include "kernel/balloon.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/sync.h"
#include "kernel/thread.h"

#define RETRY_NS NS_PER_SECOND
#define FOREVER UINT64_MAX
#define KIB_PER_PAGE (PAGE_SIZE / 1024)
/* For the page tables of what is to be mapped. */
#define RELIEF_MORE_PAGES 16

static struct memory_host *host;
static struct mutex turn = MUTEX_INIT;
static struct semaphore change = SEMAPHORE_INIT(0);
static pfn_t frames[MEMORY_TARGET_BATCH];
static uint64_t shrink_from_ns; /* not before: somebody needed the memory just now */

/* One count stands for any number of changes. */
void memory_target_wake(void)
{
    semaphore_trywait(&change);
    semaphore_post(&change);
}

static uint64_t have_pages(void)
{
    return pv_boot.max_pages - balloon_pages();
}

static unsigned batch(uint64_t pages)
{
    return pages < MEMORY_TARGET_BATCH ? (unsigned)pages : MEMORY_TARGET_BATCH;
}

/* Both return whether they got any further. `turn` held. */
static bool shrink(uint64_t pages)
{
    unsigned count = balloon_fill(frames, batch(pages));
    unsigned given = count ? host->give(host, frames, count) : 0;

    balloon_empty(frames + given, count - given);
    return given;
}

static bool grow(uint64_t pages)
{
    unsigned count = balloon_find(frames, batch(pages));
    unsigned taken = count ? host->take(host, frames, count) : 0;

    balloon_empty(frames, taken);
    return taken;
}

/* The next batch in the direction of the target; what keeps us from it, or NULL. */
static const char *step(uint64_t target)
{
    const char *obstacle = NULL;

    mutex_lock(&turn);
    uint64_t have = have_pages();
    if (have > target && (clock_monotonic_ns() < shrink_from_ns || !shrink(have - target)))
        obstacle = ": the rest is in use";
    if (have < target && !grow(target - have))
        obstacle = ": the host has no more";
    mutex_unlock(&turn);
    return obstacle;
}

/* Whether the target is reached. Says so, and what keeps us from it, once each. */
static bool approach(uint64_t target)
{
    static const char *said;
    static uint64_t said_target;
    const char *obstacle = NULL;

    while (!obstacle && have_pages() != target)
        obstacle = step(target);
    if (said != obstacle || said_target != target)
        log_info("memory %lu KiB, target %lu KiB%s", have_pages() * KIB_PER_PAGE,
                 target * KIB_PER_PAGE, obstacle ? obstacle : "");
    said = obstacle;
    said_target = target;
    return !obstacle;
}

static uint64_t attend(void)
{
    uint64_t next = host->attend ? 0 : FOREVER;

    while (!next) {
        mutex_lock(&turn);
        next = host->attend(host);
        mutex_unlock(&turn);
    }
    return next;
}

static void *follow(void *unused)
{
    uint64_t target = have_pages();
    int error;

    while ((error = host->target(host, &target)) == 0 || error == -EAGAIN) {
        bool is_reached = approach(target < pv_boot.max_pages ? target : pv_boot.max_pages);
        uint64_t next = attend(), retry = is_reached ? FOREVER : clock_monotonic_ns() + RETRY_NS;

        semaphore_timedwait(&change, next < retry ? next : retry);
    }
    log_warn("the memory target is not followed any more: error %d", -error);
    return unused;
}

int memory_target_start(struct memory_host *new_host)
{
    static const struct thread_attr attr = {.name = "memory", .service = true};
    struct thread *t;

    host = new_host;
    int error = thread_create(&t, &attr, follow, NULL);
    if (error)
        host = NULL;
    else
        thread_detach(t);
    return error;
}

/* `turn` held. Takes all that is missing or nothing: a request that is beyond reach is to fail. */
static bool deflate(uint64_t pages)
{
    struct page_counts counts;
    bool is_done = false;

    page_counts(&counts);
    uint64_t missing =
        (pages > counts.free_pages ? pages - counts.free_pages : 0) + RELIEF_MORE_PAGES;
    if (!host->relieves || missing > balloon_pages())
        return false;
    shrink_from_ns = clock_monotonic_ns() + RETRY_NS;
    for (uint64_t until = balloon_pages() - missing; balloon_pages() > until; is_done = true)
        if (!grow(balloon_pages() - until))
            break;
    memory_target_wake(); /* we are beyond the target now */
    return is_done;
}

bool memory_target_relieve(uint64_t pages)
{
    if (!host)
        return false;
    int error = mutex_trylock(&turn);
    if (!error) {
        bool is_done = deflate(pages);

        mutex_unlock(&turn);
        return is_done;
    }
    /* What another has under way may be what was missing. */
    error = mutex_lock(&turn);
    if (!error)
        mutex_unlock(&turn);
    return !error;
}
