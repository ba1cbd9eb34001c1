/*
 * The growable heap behind sbrk.
 *
 * Callers: threads. Ring 3. Lock: vm_lock. It begins in the bootstrap padding, which is mapped
 * already, and goes on in pages of its own where the padding ends (or where page_alloc took it).
 */
#include "kernel/heap.h"

#include <errno.h>
#include <string.h>

#include "kernel/memory_target.h"
#include "kernel/page.h"
#include "kernel/pagetable.h"
#include "kernel/sync.h"
#include "kernel/vm.h"
#include "kernel/vm_lock.h"

static uintptr_t start, end, limit;

void heap_init(size_t offset, uintptr_t new_limit)
{
    start = page_padding_start().n;
    if (page_padding_end().n > start) /* its first page is mapped already */
        start += offset;
    end = start;
    page_padding_reserve((vaddr_t){end});
    limit = new_limit;
}

uintptr_t heap_start(void)
{
    return start;
}

uintptr_t heap_end(void)
{
    return end;
}

static uintptr_t page_up(uintptr_t address)
{
    return (address + PAGE_SIZE - 1) & -PAGE_SIZE;
}

/* Where pages of the heap's own begin, at or behind an address. */
static uintptr_t beyond_padding(uintptr_t address)
{
    uintptr_t padding_end = page_padding_end().n;

    return address > padding_end ? address : padding_end;
}

/* vm_lock held. */
static int set_end(uintptr_t new_end)
{
    uintptr_t from = beyond_padding(page_up(end)), to = beyond_padding(page_up(new_end));

    if (new_end > end) {
        page_padding_reserve((vaddr_t){new_end}); /* first: mapping takes frames, too */
        int error = from < to ? pagetable_map(from, to, VM_READ | VM_WRITE) : 0;
        if (error) {
            page_padding_reserve((vaddr_t){end});
            return error;
        }
        memset((void *)end, 0, new_end - end);
    } else {
        page_padding_reserve((vaddr_t){new_end});
        pagetable_unmap(to, from);
    }
    end = new_end;
    return 0;
}

int heap_grow(intptr_t delta, void **old_end)
{
    uintptr_t old;
    int error;

    do {
        error = 0;
        mutex_lock(&vm_lock);
        old = end;
        if (delta < 0 && 0 - (uintptr_t)delta > end - start)
            error = -EINVAL;
        else if (delta > 0 && (uintptr_t)delta > limit - end)
            error = -ENOMEM;
        else if (delta)
            error = set_end(end + (uintptr_t)delta);
        mutex_unlock(&vm_lock);
    } while (error == -ENOMEM && memory_target_relieve((uintptr_t)delta / PAGE_SIZE + 1));
    if (!error)
        *old_end = (void *)old;
    return error;
}
