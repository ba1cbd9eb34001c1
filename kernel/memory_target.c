/*
 * Follows the memory target. What cannot be done at once, as the memory is in use, or the host has
 * none, is tried again until it can or the target changes.
 *
 * Callers: kernel/main.c. Ring 3. Locks: none of its own; the balloon has its owner in this thread.
 */
#include "kernel/memory_target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/balloon.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/vm.h"

#define RETRY_NS 1000000000ull
#define KIB_PER_PAGE (PAGE_SIZE / 1024)

static struct semaphore change = SEMAPHORE_INIT(0);

/* Event context. One count stands for any number of changes. */
static void target_event(void *unused)
{
    (void)unused;
    semaphore_trywait(&change);
    semaphore_post(&change);
}

static uint64_t have_pages(void)
{
    return pv_boot.max_pages - balloon_pages();
}

/* Both return whether they got any further. */
static bool shrink(uint64_t pages)
{
    static pfn_t frames[PV_FRAMES_BATCH];
    unsigned count =
        balloon_fill(frames, pages < PV_FRAMES_BATCH ? (unsigned)pages : PV_FRAMES_BATCH);
    unsigned given = pv_frames_give(frames, count);

    balloon_empty(frames + given, count - given);
    return given;
}

static bool grow(uint64_t pages)
{
    static pfn_t frames[PV_FRAMES_BATCH];
    unsigned count =
        balloon_find(frames, pages < PV_FRAMES_BATCH ? (unsigned)pages : PV_FRAMES_BATCH);
    unsigned taken = pv_frames_take(frames, count);

    balloon_empty(frames, taken);
    return taken;
}

/* Whether the target is reached. Says so, and what keeps us from it, once each. */
static bool approach(uint64_t target)
{
    static const char *said;
    static uint64_t said_target;
    const char *obstacle = "";

    while (!*obstacle && have_pages() > target) {
        if (!shrink(have_pages() - target))
            obstacle = ": the rest is in use";
    }
    while (!*obstacle && have_pages() < target) {
        if (!grow(target - have_pages()))
            obstacle = ": the host has no more";
    }
    if (said != obstacle || said_target != target)
        log_info("memory %lu KiB, target %lu KiB%s", have_pages() * KIB_PER_PAGE,
                 target * KIB_PER_PAGE, obstacle);
    said = obstacle;
    said_target = target;
    return !*obstacle;
}

static int prepare(void)
{
    void *list;
    size_t bytes = (pv_boot.max_pages * sizeof(uint64_t) + PAGE_SIZE - 1) & -PAGE_SIZE;
    int error = pv_target_watch(target_event, NULL);

    if (!error && pv_boot.max_pages > pv_boot.nr_pages) {
        error = vm_map(&list, bytes, VM_READ | VM_WRITE | VM_DIRTY, "frame list");
        if (!error)
            pv_frames_list_move(list);
    }
    return error;
}

static void *follow(void *unused)
{
    uint64_t target = have_pages();
    int error = prepare();

    while (!error) {
        error = pv_target_pages(&target);
        if (error && error != -EAGAIN)
            break;
        error = 0;
        if (approach(target < pv_boot.max_pages ? target : pv_boot.max_pages))
            semaphore_wait(&change);
        else
            semaphore_timedwait(&change, clock_monotonic_ns() + RETRY_NS);
    }
    if (error != -ENODEV)
        log_warn("the memory target is not followed any more: error %d", -error);
    return unused;
}

void memory_target_init(void)
{
    static const struct thread_attr attr = {.name = "memory", .service = true};
    struct thread *t;

    if (pv_boot.initial_domain)
        return;
    int error = balloon_init();
    if (!error)
        error = thread_create(&t, &attr, follow, NULL);
    if (error)
        log_warn("the memory target is not followed: error %d", -error);
    else
        thread_detach(t);
}
