/*
 * Frames go back to the hypervisor and come from it.
 *
 * Callers: kernel/main.c. Ring 3. Locks: none of its own.
 */
#include "kernel/xen_memory.h"

#include <errno.h>

#include "kernel/balloon.h"
#include "kernel/log.h"
#include "kernel/memory_target.h"
#include "kernel/vm.h"

static void changed(void *unused)
{
    (void)unused;
    memory_target_wake();
}

static int target(struct memory_host *unused, uint64_t *pages)
{
    (void)unused;
    return pv_target_pages(pages);
}

static unsigned give(struct memory_host *unused, const pfn_t *frames, unsigned count)
{
    (void)unused;
    return pv_frames_give(frames, count);
}

static unsigned take(struct memory_host *unused, const pfn_t *frames, unsigned count)
{
    (void)unused;
    return pv_frames_take(frames, count);
}

/* Frames that have no memory yet need room in the list of frames. */
static int make_room(void)
{
    void *list;
    size_t bytes = (pv_boot.max_pages * sizeof(uint64_t) + PAGE_SIZE - 1) & -PAGE_SIZE;

    if (pv_boot.max_pages == pv_boot.nr_pages)
        return 0;
    int error = vm_map(&list, bytes, VM_READ | VM_WRITE | VM_DIRTY, "frame list");
    if (!error)
        pv_frames_list_move(list);
    return error;
}

void xen_memory_init(void)
{
    static struct memory_host host = {.target = target, .give = give, .take = take};

    if (pv_boot.initial_domain)
        return;
    int error = pv_target_watch(changed, NULL);
    if (error == -ENODEV)
        return;
    if (!error)
        error = balloon_init();
    if (!error)
        error = make_room();
    if (!error)
        error = memory_target_start(&host);
    if (error)
        log_warn("the memory target is not followed: error %d", -error);
}
