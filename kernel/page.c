/*
 * Page frames: a cursor over the never used, a stack of the freed.
 *
 * Callers: kernel/pagetable.c, kernel/heap.c, with vm_lock held, which protects everything here.
 * Ring 3. The stack of freed frames lies in pages that are mapped as it first grows; the frame just
 * freed serves as that page, so freeing never needs memory.
 */
#include "kernel/page.h"

#include <errno.h>
#include <stddef.h>

#include "kernel/pagetable.h"

#define PER_PAGE (PAGE_SIZE / sizeof(uint32_t))

static uint64_t cursor;                    /* frames from here to nr_pages were never used */
static uint64_t padding_low, padding_high; /* frames of the padding that nobody uses yet */
static uint64_t padding_start;
uintptr_t page_padding_limit;
static uint64_t spare; /* the frame under the shared page, or 0 */
static uint64_t total;

static uint32_t *freed;
static uint64_t freed_count, freed_room;
static uint64_t reported_count; /* the host was told of freed[0 .. reported_count - 1] */

/* Runs watcher() when so many of freed[] are not reported. */
#define WATCH_NOTHING UINT64_MAX
static uint64_t watched_count = WATCH_NOTHING;
static void (*watcher)(void);

static uint64_t pfn_at(uintptr_t address)
{
    return (address - (uintptr_t)pv_boot_address((pfn_t){0})) / PAGE_SIZE;
}

void page_init(void)
{
    uint64_t mapped_end = pv_boot.mapped_end.n;

    padding_low = padding_start = pv_boot.free_start.n;
    padding_high = mapped_end > padding_low ? mapped_end : padding_low;
    cursor = padding_high;
    page_padding_limit = page_padding_end().n;
    total = pv_boot.nr_pages;
    spare = pfn_at((uintptr_t)pv_shared_page);
}

int page_alloc(pfn_t *out)
{
    if (freed_count) {
        out->n = freed[--freed_count];
        if (reported_count > freed_count)
            reported_count = freed_count;
    } else if (cursor < pv_boot.nr_pages) {
        out->n = cursor++;
    } else if (spare) {
        out->n = spare;
        spare = 0;
    } else if (padding_high > padding_low) {
        out->n = --padding_high;
        page_padding_limit = page_padding_end().n;
        pagetable_drop_boot_mapping(*out); /* goes out before any new use of the frame */
    } else {
        return -ENOMEM;
    }
    return 0;
}

void page_free(pfn_t pfn)
{
    if (freed_count == freed_room) {
        size_t bytes;
        uintptr_t area = pagetable_area(PAGETABLE_FREED_FRAMES, &bytes);

        freed = (uint32_t *)area;
        /* The frame is used up as a page of the stack, or (error) left unused. */
        if (pagetable_map_record(area + freed_room * sizeof(*freed), &pfn) == 0)
            freed_room += PER_PAGE;
        return;
    }
    freed[freed_count++] = (uint32_t)pfn.n;
    if (freed_count - reported_count == watched_count) {
        watched_count = WATCH_NOTHING;
        watcher();
    }
}

bool page_watch_freed(uint64_t count, void (*fn)(void))
{
    if (freed_count - reported_count >= count)
        return false;
    watcher = fn;
    watched_count = count;
    return true;
}

int page_take_freed(pfn_t *out)
{
    return freed_count == reported_count ? -ENOENT : page_alloc(out);
}

void page_put_reported(pfn_t pfn)
{
    uint64_t count = freed_count;

    page_free(pfn);
    if (freed_count == count) /* it serves the stack itself now */
        return;
    freed[count] = freed[reported_count];
    freed[reported_count++] = (uint32_t)pfn.n;
}

int page_remove(pfn_t *out)
{
    int error = page_alloc(out);

    if (!error)
        total--;
    return error;
}

void page_add(pfn_t pfn)
{
    total++;
    page_put_reported(pfn); /* it was the host's, who has put nothing behind it yet */
}

vaddr_t page_padding_start(void)
{
    return (vaddr_t){(uintptr_t)pv_boot_address((pfn_t){padding_start})};
}

vaddr_t page_padding_end(void)
{
    return (vaddr_t){(uintptr_t)pv_boot_address((pfn_t){padding_high})};
}

void page_padding_reserve(vaddr_t va)
{
    uint64_t pfn = pfn_at(va.n + PAGE_SIZE - 1);

    padding_low = pfn < padding_high ? pfn : padding_high;
}

void page_counts(struct page_counts *out)
{
    out->total_pages = total;
    out->free_pages = freed_count + (spare != 0) + padding_high - padding_low;
    if (cursor < pv_boot.nr_pages)
        out->free_pages += pv_boot.nr_pages - cursor;
}
