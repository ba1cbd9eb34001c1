/*
 * A bit for every frame that is in the balloon.
 *
 * Callers: see kernel/balloon.h. Ring 3. Lock: vm_lock.
 */
#include "kernel/balloon.h"

#include <errno.h>

#include "kernel/page.h"
#include "kernel/vm.h"
#include "kernel/vm_lock.h"

#define BITS_PER_WORD 64
/* What stays with the guest, of its free memory: page tables and stacks must not fail at once. */
#define RESERVE_PAGES 64
#define RESERVE_SHARE 32

static uint64_t *in_balloon; /* by pfn */
static uint64_t count_in_balloon;
static uint64_t search_from; /* no bit below this word */

static uint64_t words(void)
{
    return (pv_boot.max_pages + BITS_PER_WORD - 1) / BITS_PER_WORD;
}

static void add(uint64_t pfn)
{
    uint64_t word = pfn / BITS_PER_WORD;

    in_balloon[word] |= 1ull << pfn % BITS_PER_WORD;
    count_in_balloon++;
    if (word < search_from)
        search_from = word;
}

int balloon_init(void)
{
    void *memory;
    size_t bytes = (words() * sizeof(*in_balloon) + PAGE_SIZE - 1) & -PAGE_SIZE;

    if (in_balloon)
        return -EBUSY;
    int error = vm_map(&memory, bytes, VM_READ | VM_WRITE, "balloon");
    if (error)
        return error;
    in_balloon = memory;
    for (uint64_t pfn = pv_boot.nr_pages; pfn < pv_boot.max_pages; pfn++)
        add(pfn);
    return 0;
}

static bool can_spare_one(void)
{
    struct page_counts counts;

    page_counts(&counts);
    uint64_t share = counts.total_pages / RESERVE_SHARE;
    return counts.free_pages > (share > RESERVE_PAGES ? share : RESERVE_PAGES);
}

unsigned balloon_fill(pfn_t *frames, unsigned count)
{
    unsigned done = 0;

    mutex_lock(&vm_lock);
    while (done < count && can_spare_one() && page_remove(&frames[done]) == 0)
        add(frames[done++].n);
    pv_mmu_flush(); /* a frame of the padding had a mapping */
    mutex_unlock(&vm_lock);
    return done;
}

unsigned balloon_find(pfn_t *frames, unsigned count)
{
    unsigned done = 0;

    mutex_lock(&vm_lock);
    while (search_from < words() && !in_balloon[search_from])
        search_from++;
    for (uint64_t word = search_from; word < words() && done < count; word++) {
        for (uint64_t bits = in_balloon[word]; bits && done < count; bits &= bits - 1)
            frames[done++].n = word * BITS_PER_WORD + (unsigned)__builtin_ctzll(bits);
    }
    mutex_unlock(&vm_lock);
    return done;
}

void balloon_empty(const pfn_t *frames, unsigned count)
{
    mutex_lock(&vm_lock);
    for (unsigned i = 0; i < count; i++) {
        in_balloon[frames[i].n / BITS_PER_WORD] &= ~(1ull << frames[i].n % BITS_PER_WORD);
        count_in_balloon--;
        page_add(frames[i]);
    }
    mutex_unlock(&vm_lock);
}

uint64_t balloon_pages(void)
{
    return count_in_balloon;
}

bool balloon_watch_freed(uint64_t count, void (*fn)(void))
{
    mutex_lock(&vm_lock);
    bool is_watching = page_watch_freed(count, fn);
    mutex_unlock(&vm_lock);
    return is_watching;
}

unsigned balloon_report(pfn_t *frames, unsigned count)
{
    unsigned done = 0;

    mutex_lock(&vm_lock);
    while (done < count && page_take_freed(&frames[done]) == 0)
        done++;
    mutex_unlock(&vm_lock);
    return done;
}

void balloon_reported(const pfn_t *frames, unsigned reported, unsigned count)
{
    mutex_lock(&vm_lock);
    for (unsigned i = 0; i < count; i++) {
        if (i < reported)
            page_put_reported(frames[i]);
        else
            page_free(frames[i]);
    }
    mutex_unlock(&vm_lock);
}
