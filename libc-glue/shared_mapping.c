/*
 * Mappings of files that are the file itself.
 *
 * A mapping holds the pages of memory that were the file's when it was made. Whether the file loses
 * them (it is cut, or gone) or gets others there (it grows again) is not seen in the mapping: what
 * the added or removed parts of a file are in a mapping is unspecified (POSIX, mmap). Pages behind
 * the file's end have no memory: their use is a fault (SIGBUS), also after the file has grown.
 *
 * Ordinary calls from threads. Lock: mappings_lock protects the list, and keeps addresses from
 * being used anew before their pages are let go.
 */
#include "libc-glue/shared_mapping.h"

#include <errno.h>
#include <stdlib.h>

#include "kernel/vm.h"

struct page {
    bool is_mapped, has_memory;
    uintptr_t held;
};

struct mapping {
    LIST_ENTRY(mapping) link;
    uintptr_t start, end;
    bool may_write;
    void (*let_go)(uintptr_t held);
    size_t mapped; /* pages */
    struct page pages[];
};

static struct mutex mappings_lock = MUTEX_INIT;
static LIST_HEAD(, mapping) mappings = LIST_HEAD_INITIALIZER(mappings);

/* mappings_lock held. */
static void forget_page(struct mapping *m, struct page *page)
{
    if (!page->is_mapped)
        return;
    if (page->has_memory)
        m->let_go(page->held);
    page->is_mapped = false;
    m->mapped--;
}

static uintptr_t larger(uintptr_t a, uintptr_t b)
{
    return a > b ? a : b;
}

static uintptr_t smaller(uintptr_t a, uintptr_t b)
{
    return a < b ? a : b;
}

/* mappings_lock held. What the range has of mappings is no longer mapped. */
static void forget(uintptr_t start, uintptr_t end)
{
    struct mapping *m, *next;

    for (m = LIST_FIRST(&mappings); m != NULL; m = next) {
        next = LIST_NEXT(m, link);
        for (uintptr_t at = larger(start, m->start); at < smaller(end, m->end); at += PAGE_SIZE)
            forget_page(m, &m->pages[(at - m->start) / PAGE_SIZE]);
        if (m->mapped == 0) {
            LIST_REMOVE(m, link);
            free(m);
        }
    }
}

/* mappings_lock held. */
static int unmap(void *address, size_t bytes)
{
    int error = vm_unmap(address, bytes);

    if (error == 0)
        forget((uintptr_t)address, (uintptr_t)address + bytes);
    return error;
}

int shared_mapping_unmap(void *address, size_t bytes)
{
    mutex_lock(&mappings_lock);
    int error = unmap(address, bytes);
    mutex_unlock(&mappings_lock);
    return error;
}

/* mappings_lock held. */
static bool may_write(uintptr_t start, uintptr_t end)
{
    const struct mapping *m;

    LIST_FOREACH(m, &mappings, link)
    {
        for (uintptr_t at = larger(start, m->start); at < smaller(end, m->end); at += PAGE_SIZE)
            if (m->pages[(at - m->start) / PAGE_SIZE].is_mapped && !m->may_write)
                return false;
    }
    return true;
}

int shared_mapping_protect(void *address, size_t bytes, int prot)
{
    const uintptr_t start = (uintptr_t)address;
    int error = -EACCES;

    mutex_lock(&mappings_lock);
    if ((prot & VM_WRITE) == 0 || may_write(start, start + bytes))
        error = vm_protect(address, bytes, prot);
    mutex_unlock(&mappings_lock);
    return error;
}

/* mappings_lock held. */
static int map(void **address, void *const *memory, size_t count, int prot, bool replaces,
               const char *name)
{
    int error = replaces ? unmap(*address, count * PAGE_SIZE) : 0;

    return error != 0 ? error : vm_map_again(address, memory, count, prot, name);
}

int shared_mapping_make(struct file *file, void **address, size_t bytes, int prot, bool replaces,
                        off_t offset, const char *name)
{
    const size_t count = bytes / PAGE_SIZE;
    struct mapping *m = malloc(sizeof(*m) + count * sizeof(m->pages[0]));
    struct file_page *pages = malloc(count * sizeof(*pages));
    void **memory = malloc(count * sizeof(*memory));
    int error = m == NULL || pages == NULL || memory == NULL ? -ENOMEM : 0;

    if (error == 0)
        error = file->ops->hold_pages(file, (uint64_t)offset / PAGE_SIZE, count, pages);
    if (error != 0) {
        free(m);
        goto out;
    }
    *m = (struct mapping){
        .may_write = file_is_writable(file), .let_go = file->ops->let_page_go, .mapped = count};
    for (size_t i = 0; i < count; i++) {
        memory[i] = pages[i].memory;
        m->pages[i] = (struct page){true, memory[i] != NULL, pages[i].held};
    }
    mutex_lock(&mappings_lock);
    error = map(address, memory, count, prot, replaces, name);
    if (error == 0) {
        m->start = (uintptr_t)*address;
        m->end = m->start + bytes;
        LIST_INSERT_HEAD(&mappings, m, link);
    } else {
        for (size_t i = 0; i < count; i++)
            forget_page(m, &m->pages[i]);
        free(m);
    }
    mutex_unlock(&mappings_lock);
out:
    free(pages);
    free(memory);
    return error == -ENOSPC ? -ENOMEM : error;
}
