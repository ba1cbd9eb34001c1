/*
 * Pages of tmpfs's files: where they come from, and the trees that find them.
 *
 * Memory is mapped in chunks of 64 pages: their first page says which of the others are free. A
 * file's tree has nodes of 64 places: an inner one's are pointers, a leaf's are pages, each with
 * its number in the chunk in the low bits of its address.
 *
 * Callers: see tmpfs_pages.h. Lock: pool_lock protects the chunks and the counts; a tree is
 * protected by the lock of its file.
 */
#include "libc-glue/tmpfs_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "kernel/sync.h"
#include "kernel/vm.h"

#define CHUNK_PAGES 64
#define CHUNK_BYTES (CHUNK_PAGES * TMPFS_PAGE_BYTES)
#define ALL_FREE (~UINT64_C(1)) /* but for the first */
#define KEPT_PART 8             /* of the limit, at most */
#define PLACE_BITS 6
#define PLACES (1u << PLACE_BITS)

struct chunk {
    uint64_t free;               /* bit n: page n */
    uint32_t users[CHUNK_PAGES]; /* of a page that is not free: its file and those who hold it */
    LIST_ENTRY(chunk) link;
};

static struct mutex pool_lock = MUTEX_INIT;
static LIST_HEAD(, chunk) chunks;   /* those with free pages */
static uint64_t limit, used, spare; /* spare: free pages of chunks */

void tmpfs_pages_limit(uint64_t pages)
{
    limit = pages;
}

void tmpfs_pages_counts(struct tmpfs_page_counts *out)
{
    mutex_lock(&pool_lock);
    *out = (struct tmpfs_page_counts){.limit = limit, .used = used};
    mutex_unlock(&pool_lock);
}

static void *address_of(uintptr_t page)
{
    return (void *)(page & -TMPFS_PAGE_BYTES);
}

/* pool_lock held. NULL: no memory. */
static struct chunk *chunk_with_room(void)
{
    void *memory;

    if (LIST_EMPTY(&chunks)) {
        if (vm_map(&memory, CHUNK_BYTES, VM_READ | VM_WRITE | VM_DIRTY, "tmpfs") != 0)
            return NULL;
        struct chunk *chunk = memory;
        chunk->free = ALL_FREE;
        spare += CHUNK_PAGES - 1;
        LIST_INSERT_HEAD(&chunks, chunk, link);
    }
    return LIST_FIRST(&chunks);
}

/* 0: none is left. */
static uintptr_t take_page(void)
{
    struct chunk *chunk;
    uintptr_t page = 0;

    mutex_lock(&pool_lock);
    if (used < limit && (chunk = chunk_with_room()) != NULL) {
        unsigned n = (unsigned)__builtin_ctzll(chunk->free);

        page = ((uintptr_t)chunk + n * TMPFS_PAGE_BYTES) | n;
        chunk->free &= chunk->free - 1;
        chunk->users[n] = 1;
        if (chunk->free == 0)
            LIST_REMOVE(chunk, link);
        used++;
        spare--;
    }
    mutex_unlock(&pool_lock);
    return page;
}

/* Free pages that are kept for the next file: mapping and unmapping costs more than filling, and
 * files that come and go, such as a database's journal, should not pay it each time. */
static uint64_t spare_max(void)
{
    uint64_t part = limit / KEPT_PART;

    return part > CHUNK_PAGES ? part : CHUNK_PAGES;
}

static struct chunk *chunk_of(uintptr_t page, uintptr_t *out_n)
{
    *out_n = page % TMPFS_PAGE_BYTES;
    return (struct chunk *)(page - *out_n - *out_n * TMPFS_PAGE_BYTES);
}

/* pool_lock held. */
static void give_back(uintptr_t page)
{
    uintptr_t n;
    struct chunk *chunk = chunk_of(page, &n);

    if (--chunk->users[n] != 0)
        return;
    if (chunk->free == 0)
        LIST_INSERT_HEAD(&chunks, chunk, link);
    chunk->free |= UINT64_C(1) << n;
    used--;
    spare++;
    if (chunk->free == ALL_FREE && spare >= spare_max()) {
        LIST_REMOVE(chunk, link);
        spare -= CHUNK_PAGES - 1;
        vm_unmap(chunk, CHUNK_BYTES);
    }
}

/* --- The tree of a file ----------------------------------------------------------------------- */

static bool covers(const struct tmpfs_pages *pages, uint64_t index)
{
    return pages->height > 0 &&
           (pages->height * PLACE_BITS >= 64 || index >> (pages->height * PLACE_BITS) == 0);
}

static unsigned place_of(uint64_t index, unsigned level)
{
    return (unsigned)(index >> (level - 1) * PLACE_BITS) % PLACES;
}

/* The leaf for a page; NULL: there is none. */
static uintptr_t *find_leaf(struct tmpfs_pages *pages, uint64_t index)
{
    uint64_t leaf_index = index & -(uint64_t)PLACES;
    void *node = pages->top;

    if (pages->leaf != NULL && pages->leaf_index == leaf_index)
        return pages->leaf;
    if (!covers(pages, index))
        return NULL;
    for (unsigned level = pages->height; level > 1 && node != NULL; level--)
        node = ((void **)node)[place_of(index, level)];
    if (node != NULL) {
        pages->leaf = node;
        pages->leaf_index = leaf_index;
    }
    return node;
}

/* The same, made if need be; NULL: no memory. */
static uintptr_t *make_leaf(struct tmpfs_pages *pages, uint64_t index)
{
    while (!covers(pages, index)) {
        void **top = calloc(PLACES, sizeof(*top));

        if (top == NULL)
            return NULL;
        top[0] = pages->top;
        pages->top = top;
        pages->height++;
    }
    void **node = pages->top;
    for (unsigned level = pages->height; level > 1; level--) {
        void **place = &node[place_of(index, level)];

        if (*place == NULL)
            *place = calloc(PLACES, sizeof(*place));
        node = *place;
        if (node == NULL)
            return NULL;
    }
    return (uintptr_t *)node;
}

void *tmpfs_pages_find(struct tmpfs_pages *pages, uint64_t index)
{
    const uintptr_t *leaf = find_leaf(pages, index);

    return leaf != NULL ? address_of(leaf[index % PLACES]) : NULL;
}

int tmpfs_pages_make(struct tmpfs_pages *pages, uint64_t index, void **out, bool *is_new)
{
    uintptr_t *leaf = find_leaf(pages, index);

    if (leaf == NULL)
        leaf = make_leaf(pages, index);
    if (leaf == NULL)
        return -ENOSPC;
    uintptr_t *page = &leaf[index % PLACES];
    *is_new = *page == 0;
    if (*page == 0) {
        *page = take_page();
        if (*page == 0)
            return -ENOSPC;
        pages->count++;
    }
    *out = address_of(*page);
    return 0;
}

uintptr_t tmpfs_pages_hold(struct tmpfs_pages *pages, uint64_t index)
{
    uintptr_t page = find_leaf(pages, index)[index % PLACES], n;

    mutex_lock(&pool_lock);
    chunk_of(page, &n)->users[n]++;
    mutex_unlock(&pool_lock);
    return page;
}

void tmpfs_pages_let_go(uintptr_t held)
{
    mutex_lock(&pool_lock);
    give_back(held);
    mutex_unlock(&pool_lock);
}

/* pool_lock held. Frees what the node has from the page `first` on, counted within it, and with
 * first = 0 the node. */
static void cut_node(struct tmpfs_pages *pages, void **place, unsigned level, uint64_t first)
{
    void **node = *place;
    bool is_all = first == 0;

    if (node == NULL)
        return;
    for (unsigned i = place_of(first, level); i < PLACES; i++, first = 0) {
        if (level > 1) {
            cut_node(pages, &node[i], level - 1,
                     first & ((UINT64_C(1) << (level - 1) * PLACE_BITS) - 1));
        } else if (node[i] != NULL) {
            give_back((uintptr_t)node[i]);
            node[i] = NULL;
            pages->count--;
        }
    }
    if (is_all) {
        free(node);
        *place = NULL;
    }
}

void tmpfs_pages_cut(struct tmpfs_pages *pages, uint64_t first)
{
    mutex_lock(&pool_lock);
    pages->leaf = NULL;
    if (covers(pages, first))
        cut_node(pages, &pages->top, pages->height, first);
    if (pages->top == NULL)
        pages->height = 0;
    mutex_unlock(&pool_lock);
}
