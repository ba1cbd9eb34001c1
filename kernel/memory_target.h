/*
 * Whoever decides how much memory the guest has, and the service thread that follows: it gives
 * memory back and takes it as its host asks. Hosts: Xen's tool stack (kernel/xen_memory.c), a
 * virtio balloon (kernel/virtio/balloon.c). There is one at most: who has the balloon
 * (kernel/balloon.h).
 */
#ifndef KERNEL_MEMORY_TARGET_H
#define KERNEL_MEMORY_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "pv/pv.h"

#define MEMORY_TARGET_BATCH PV_FRAMES_BATCH

/* All are called in threads, one at a time, and may sleep. */
struct memory_host {
    /* How many pages we are to have. -EAGAIN: as many as it said last; other errors are for good.
     */
    int (*target)(struct memory_host *host, uint64_t *pages);
    /* Frames of the balloon, up to MEMORY_TARGET_BATCH of them: the host may have them; we may use
     * them again. Both return of how many that is true, counted from the first. */
    unsigned (*give)(struct memory_host *host, const pfn_t *frames, unsigned count);
    unsigned (*take)(struct memory_host *host, const pfn_t *frames, unsigned count);
    /* Optional: what else there is to do, whenever the thread has come as near to the target as it
     * can. Returns when it is to be called again at the latest; 0: at once. */
    uint64_t (*attend)(struct memory_host *host);
    /* Rather than fail an allocation we may have more than the target. */
    bool relieves;
};

/* By the owner of the balloon, once: there is a host. */
int memory_target_start(struct memory_host *host);

/* The target may have changed, or there is something to attend to. Any context. */
void memory_target_wake(void);

/* An allocation of so many pages failed. Whether to try again: memory has come back that was on its
 * way between us and the host, or the balloon had enough and gave it. Threads, without vm_lock. */
bool memory_target_relieve(uint64_t pages);

#endif
