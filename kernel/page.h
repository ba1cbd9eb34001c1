/*
 * Page frames, by pfn. Frames are not contiguous in machine memory, not zeroed and mapped nowhere
 * when handed out. Nothing here costs time in proportion to the size of memory at boot.
 */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include "pv/pv.h"

/* Boot only, by vm_init: takes over the frames from pv_boot.free_start on. */
void page_init(void);

/* Lock: both are called with vm_lock held. */
int page_alloc(pfn_t *out); /* -ENOMEM */
void page_free(pfn_t pfn);

/* Likewise, of frames that leave the domain's memory and join it. */
int page_remove(pfn_t *out); /* -ENOMEM */
void page_add(pfn_t pfn);

/*
 * Free page reporting: the host can do without what is behind a free frame, once it knows. A mark
 * divides the free frames into those of which it was told and those that were freed since. vm_lock
 * held. Never used frames are of neither kind: nothing is behind them.
 */
/* fn (which must not sleep) runs once, when so many frames were freed since. False: they were. */
bool page_watch_freed(uint64_t count, void (*fn)(void));
/* Takes one of them, for a report; puts back one that the host was told of. */
int page_take_freed(pfn_t *out); /* -ENOENT */
void page_put_reported(pfn_t pfn);

/*
 * The frames that the bootstrap tables map already, behind the image (the bootstrap padding), serve
 * two ends: the heap takes from the bottom without any mapping work, page_alloc from the top.
 */
vaddr_t page_padding_start(void);    /* where the padding began at boot */
vaddr_t page_padding_end(void);      /* its pages below this address are still mapped */
extern uintptr_t page_padding_limit; /* the same address, for busy paths */
/* The heap now uses the padding below va (rounded up to pages). */
void page_padding_reserve(vaddr_t va);

struct page_counts {
    uint64_t total_pages; /* all that the domain has now */
    uint64_t free_pages;
};
void page_counts(struct page_counts *out);

#endif
