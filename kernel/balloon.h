/*
 * The balloon: frames that the domain has by number but lends to its host. Whoever speaks with the
 * host about memory (kernel/memory_target.h) fills and empties it; there is one of them. Frames of
 * Xen's memory map that have no memory at the start are in it, too.
 *
 * Threads only: all may sleep (vm_lock).
 */
#ifndef KERNEL_BALLOON_H
#define KERNEL_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "pv/pv.h"

/* Before anything else here. -EBUSY: somebody else has it; -ENOMEM. */
int balloon_init(void);

/* Takes up to `count` free frames, mapped nowhere, out of the page allocator into the balloon;
 * returns how many: fewer where the rest is in use or in reserve. They may then be handed to the
 * host. */
unsigned balloon_fill(pfn_t *frames, unsigned count);

/* Names up to `count` frames of the balloon, which stay in it until they are emptied out. */
unsigned balloon_find(pfn_t *frames, unsigned count);

/* Frames of the balloon that are usable (again) go (back) to the page allocator. */
void balloon_empty(const pfn_t *frames, unsigned count);

uint64_t balloon_pages(void);

/* --- Free page reporting (kernel/page.h) ------------------------------------------------------ */

/* As page_watch_freed. */
bool balloon_watch_freed(uint64_t count, void (*fn)(void));

/* Takes up to `count` frames that were freed since the last report: nobody has them, they count as
 * in use. */
unsigned balloon_report(pfn_t *frames, unsigned count);

/* They are free again; the host knows the first `reported` of them. */
void balloon_reported(const pfn_t *frames, unsigned reported, unsigned count);

#endif
