/*
 * Regions of the one address space.
 *
 * Callers: threads, boot. Ring 3. Lock: vm_lock (kernel/vm_lock.h). Regions are kept in a tree by
 * address; a guard page belongs to the region above it and is never mapped. Structs come from pages
 * in the records' area (kernel/pagetable.h), which are never given back.
 */
#include "kernel/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "kernel/heap.h"
#include "kernel/memory_target.h"
#include "kernel/page.h"
#include "kernel/pagetable.h"
#include "kernel/tree.h"
#include "kernel/vm_lock.h"

#define TABLE_BYTES (512 * PAGE_SIZE)
#define L3_BYTES (1ul << 39) /* kernel/pagetable.c: one L3 table */
#define HEAP_MAX_BYTES (1ul << 37)
#define HEAP_STARTS 256 /* 16 bytes from one to the next */
#define AREA_STARTS 128 /* a page from one to the next: leaves most of the first page table */
#define PROTECTIONS (VM_READ | VM_WRITE | VM_EXEC)

struct region {
    union {
        struct tree_node node; /* its key is the start */
        SLIST_ENTRY(region) free_link;
    };
    uintptr_t start, end;
    const char *name;
    int prot;
    bool guard; /* the page below start is ours, unmapped */
    bool again; /* vm_map_again */
};

struct mutex vm_lock = MUTEX_INIT;

static uintptr_t area_start, area_end; /* where regions may be */
static uintptr_t search_from;          /* no gap below this address, as far as known */

static struct tree regions; /* by start */
static bool sealed;         /* never again false */

/* kernel/guest.lds */
extern const char image_start[], image_relro_start[], image_text_start[], image_data_start[],
    image_end[];

/* --- Region structs ------------------------------------------------------------------------- */

static SLIST_HEAD(, region) free_regions = SLIST_HEAD_INITIALIZER(free_regions);

static int add_region_structs(void)
{
    static size_t used_bytes;
    size_t area_bytes;
    uintptr_t page = pagetable_area(PAGETABLE_REGIONS, &area_bytes) + used_bytes;

    if (used_bytes == area_bytes)
        return -ENOMEM;
    int error = pagetable_map_record(page, NULL);
    if (error)
        return error;
    used_bytes += PAGE_SIZE;
    struct region *r = (struct region *)page;
    for (size_t i = 0; i < PAGE_SIZE / sizeof(*r); i++)
        SLIST_INSERT_HEAD(&free_regions, &r[i], free_link);
    return 0;
}

static int alloc_region(struct region **out)
{
    if (SLIST_EMPTY(&free_regions)) {
        int error = add_region_structs();
        if (error)
            return error;
    }
    *out = SLIST_FIRST(&free_regions);
    SLIST_REMOVE_HEAD(&free_regions, free_link);
    return 0;
}

static void free_region(struct region *r)
{
    SLIST_INSERT_HEAD(&free_regions, r, free_link);
}

/* --- Search --------------------------------------------------------------------------------- */

static uintptr_t low_end(const struct region *r)
{
    return r->guard ? r->start - PAGE_SIZE : r->start;
}

static struct region *next_of(struct region *r)
{
    return tree_owner(tree_next(&r->node), struct region, node);
}

/* The first region that ends behind address. */
static struct region *first_behind(uintptr_t address)
{
    struct tree_node *node = tree_last_up_to(&regions, address);
    struct region *r = tree_owner(node ? node : tree_first(&regions), struct region, node);

    return r && r->end <= address ? next_of(r) : r;
}

static void insert(struct region *r)
{
    r->node.key = r->start;
    tree_insert(&regions, &r->node);
}

static int find_gap(size_t bytes, uintptr_t *out)
{
    uintptr_t at = search_from;
    struct region *r = first_behind(at);

    while (r && low_end(r) < at + bytes) {
        at = r->end;
        r = next_of(r);
    }
    if (bytes > area_end - at)
        return -ENOMEM;
    if (at == search_from)
        search_from = at + bytes;
    *out = at;
    return 0;
}

static bool in_area(uintptr_t start, size_t bytes)
{
    return start % PAGE_SIZE == 0 && bytes % PAGE_SIZE == 0 && bytes && start >= area_start &&
           start < area_end && bytes <= area_end - start;
}

/* --- Mapping -------------------------------------------------------------------------------- */

static int check_prot(int prot)
{
    if ((prot & VM_WRITE) && (prot & VM_EXEC))
        return -EACCES;
    return (prot & VM_EXEC) && sealed ? -EPERM : 0;
}

/* vm_lock held. *start is set unless VM_FIXED asks for it. */
static int place(uintptr_t *start, size_t bytes, int prot)
{
    size_t guard = prot & VM_GUARD ? PAGE_SIZE : 0;

    if (!(prot & VM_FIXED)) {
        int error = find_gap(bytes + guard, start);
        *start += guard;
        return error;
    }
    if (!in_area(*start - guard, bytes + guard))
        return -EINVAL;
    struct region *r = first_behind(*start - guard);
    return r && low_end(r) < *start + bytes ? -EEXIST : 0;
}

/* Fresh memory holds anything: it is zeroed while still writable, then gets its protection. */
static int map_zeroed(uintptr_t start, uintptr_t end, int prot)
{
    int error = pagetable_map(start, end, VM_READ | VM_WRITE);

    if (error)
        return error;
    memset((void *)start, 0, end - start);
    if ((prot & PROTECTIONS) != (VM_READ | VM_WRITE))
        error = pagetable_protect(start, end, prot);
    if (error)
        pagetable_unmap(start, end);
    return error;
}

static int map_locked(uintptr_t *start, size_t bytes, int prot, const char *name)
{
    struct region *r;
    int error = alloc_region(&r);

    if (error)
        return error;
    error = place(start, bytes, prot);
    if (!error && (prot & VM_DIRTY))
        error = pagetable_map(*start, *start + bytes, prot);
    else if (!error)
        error = map_zeroed(*start, *start + bytes, prot);
    if (error) {
        free_region(r);
        return error;
    }
    *r = (struct region){.start = *start,
                         .end = *start + bytes,
                         .name = name,
                         .prot = prot & PROTECTIONS,
                         .guard = prot & VM_GUARD};
    insert(r);
    return 0;
}

int vm_map(void **addr, size_t bytes, int prot, const char *name)
{
    uintptr_t start = prot & VM_FIXED ? (uintptr_t)*addr : 0;
    int error = check_prot(prot);

    if (error)
        return error;
    if (!bytes || bytes % PAGE_SIZE)
        return -EINVAL;
    if (bytes > area_end - area_start)
        return -ENOMEM;
    do {
        mutex_lock(&vm_lock);
        error = map_locked(&start, bytes, prot, name);
        if (error)
            search_from = area_start; /* find_gap may have counted the gap as taken */
        mutex_unlock(&vm_lock);
    } while (error == -ENOMEM && memory_target_relieve(bytes / PAGE_SIZE));
    if (!error)
        *addr = (void *)start;
    return error;
}

static int map_device_locked(uintptr_t *at, size_t bytes, mfn_t frame, const char *name)
{
    struct region *r;
    int error = alloc_region(&r);

    if (error)
        return error;
    error = place(at, bytes, VM_NONE);
    if (!error)
        error = pagetable_map_device(*at, *at + bytes, frame);
    if (error) {
        free_region(r);
        return error;
    }
    *r =
        (struct region){.start = *at, .end = *at + bytes, .name = name, .prot = VM_READ | VM_WRITE};
    insert(r);
    return 0;
}

int vm_map_device(maddr_t start, size_t bytes, const char *name, volatile void **out)
{
    size_t offset = start.n % PAGE_SIZE, pages = (offset + bytes + PAGE_SIZE - 1) / PAGE_SIZE;
    uintptr_t at = 0;

    if (!bytes || bytes > area_end - area_start ||
        (start.n + bytes - 1) & ~(PV_PTE_FRAME | (PAGE_SIZE - 1)))
        return -EINVAL;
    mutex_lock(&vm_lock);
    int error = map_device_locked(&at, pages * PAGE_SIZE, (mfn_t){start.n >> PAGE_SHIFT}, name);
    if (error)
        search_from = area_start; /* as in vm_map */
    mutex_unlock(&vm_lock);
    if (!error)
        *out = (volatile char *)at + offset;
    return error;
}

static int map_again_locked(uintptr_t *start, void *const *pages, size_t count, int prot,
                            const char *name)
{
    struct region *r;
    int error = alloc_region(&r);

    if (error)
        return error;
    error = place(start, count * PAGE_SIZE, prot);
    if (!error)
        error = pagetable_map_again(*start, pages, count, prot);
    if (error) {
        free_region(r);
        return error;
    }
    *r = (struct region){.start = *start,
                         .end = *start + count * PAGE_SIZE,
                         .name = name,
                         .prot = prot & PROTECTIONS,
                         .again = true};
    insert(r);
    return 0;
}

int vm_map_again(void **addr, void *const *pages, size_t count, int prot, const char *name)
{
    uintptr_t start = prot & VM_FIXED ? (uintptr_t)*addr : 0;

    if (prot & VM_EXEC)
        return -EACCES;
    if (!count)
        return -EINVAL;
    if (count > (area_end - area_start) / PAGE_SIZE)
        return -ENOMEM;
    mutex_lock(&vm_lock);
    int error = map_again_locked(&start, pages, count, prot, name);
    if (error)
        search_from = area_start; /* as in vm_map */
    mutex_unlock(&vm_lock);
    if (!error)
        *addr = (void *)start;
    return error;
}

/* --- Splitting ------------------------------------------------------------------------------ */

/* Makes `at` the border between two regions, if it lies inside one. */
static int split_at(uintptr_t at)
{
    struct region *r = first_behind(at), *upper;

    if (!r || r->start >= at)
        return 0;
    int error = alloc_region(&upper);
    if (error)
        return error;
    *upper = (struct region){
        .start = at, .end = r->end, .name = r->name, .prot = r->prot, .again = r->again};
    r->end = at;
    insert(upper);
    return 0;
}

/* Joins r to the region that ends where it starts, if they are alike. */
static void merge_below(struct region *r)
{
    struct region *below = tree_owner(tree_previous(&r->node), struct region, node);

    if (!below || below->end != r->start || r->guard || below->prot != r->prot ||
        below->name != r->name || below->again != r->again)
        return;
    tree_remove(&regions, &r->node);
    below->end = r->end;
    free_region(r);
}

int vm_unmap(void *addr, size_t bytes)
{
    uintptr_t start = (uintptr_t)addr, end = start + bytes;

    if (!in_area(start, bytes))
        return -EINVAL;
    mutex_lock(&vm_lock);
    int error = split_at(start);
    if (!error)
        error = split_at(end);
    if (error) {
        mutex_unlock(&vm_lock);
        return error;
    }
    for (struct region *r = first_behind(start), *next; r && r->start < end; r = next) {
        next = next_of(r);
        if (low_end(r) < search_from)
            search_from = low_end(r);
        tree_remove(&regions, &r->node);
        free_region(r);
    }
    pagetable_unmap(start, end);
    mutex_unlock(&vm_lock);
    return 0;
}

/* vm_lock held. Memory that is mapped twice may be writable there. */
static bool is_again(uintptr_t start, uintptr_t end)
{
    struct region *r = first_behind(start);

    while (r && r->start < end && !r->again)
        r = next_of(r);
    return r && r->start < end;
}

/* vm_lock held. The whole range is mapped by regions. */
static bool covered(uintptr_t start, uintptr_t end)
{
    struct region *r = first_behind(start);

    while (r && r->start <= start && r->end < end) {
        start = r->end;
        r = next_of(r);
    }
    return r && r->start <= start;
}

static int protect_locked(uintptr_t start, uintptr_t end, int prot)
{
    if (!covered(start, end))
        return -ENOMEM;
    if (prot & VM_EXEC && is_again(start, end))
        return -EACCES;
    int error = split_at(start);
    if (!error)
        error = split_at(end);
    if (!error)
        error = pagetable_protect(start, end, prot);
    if (error)
        return error;
    struct region *r = first_behind(start);
    for (; r && r->start < end; r = next_of(r))
        r->prot = prot;
    for (r = first_behind(start - 1); r && r->start <= end;) {
        struct region *next = next_of(r);
        merge_below(r);
        r = next;
    }
    return 0;
}

int vm_protect(void *addr, size_t bytes, int prot)
{
    uintptr_t start = (uintptr_t)addr;
    int error = check_prot(prot);

    if (error)
        return error;
    if (!in_area(start, bytes) || (prot & ~PROTECTIONS))
        return -EINVAL;
    mutex_lock(&vm_lock);
    error = protect_locked(start, start + bytes, prot);
    mutex_unlock(&vm_lock);
    return error;
}

/* --- Queries -------------------------------------------------------------------------------- */

/* What is not a region, from the image up. */
static bool query_fixed(uintptr_t address, struct vm_info *out)
{
    const struct vm_info known[] = {
        {"image: read-only data", (uintptr_t)image_start, (uintptr_t)image_text_start, VM_READ, 0,
         0},
        {"image: text", (uintptr_t)image_text_start, (uintptr_t)image_data_start, VM_READ | VM_EXEC,
         0, 0},
        {"image: data", (uintptr_t)image_data_start, (uintptr_t)image_end, VM_READ | VM_WRITE, 0,
         0},
        {"start of day data", (uintptr_t)image_end, heap_start(), VM_READ, 0, 0},
        {"heap", heap_start(), heap_end(), VM_READ | VM_WRITE, 0, 0},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (address >= known[i].start && address < known[i].end) {
            *out = known[i];
            return true;
        }
    }
    return false;
}

void vm_query(uintptr_t address, struct vm_info *out)
{
    *out = (struct vm_info){0};
    if (query_fixed(address, out))
        return;
    const struct region *r = first_behind(address);
    if (r && address >= low_end(r))
        *out = (struct vm_info){r->name, r->start, r->end, r->prot, address < r->start, r->again};
}

/* --- Boot ----------------------------------------------------------------------------------- */

/* Xen maps everything writable and executable; Parvus as we want it (PARVUS_FEATURE_WX). */
static int protect_image(void)
{
    uintptr_t text = (uintptr_t)image_text_start, data = (uintptr_t)image_data_start;
    uintptr_t mapped_end = (uintptr_t)pv_boot_address(pv_boot.mapped_end);
    int error = pagetable_protect_boot((uintptr_t)image_start, text, VM_READ);

    if (!error)
        error = pagetable_protect_boot(text, data, VM_READ | VM_EXEC);
    if (!error)
        error = pagetable_protect_boot(data, mapped_end, VM_READ | VM_WRITE);
    return error;
}

int vm_seal(void)
{
    int error = 0;

    mutex_lock(&vm_lock);
    if (pv_boot.seal_offered && !sealed)
        error =
            pv_mmu_seal((vaddr_t){(uintptr_t)image_start}, (vaddr_t){(uintptr_t)image_data_start});
    if (!error)
        sealed = true;
    mutex_unlock(&vm_lock);
    return error;
}

int vm_init(void)
{
    page_init();

    uint64_t memory_bytes = pv_boot.max_pages * PAGE_SIZE;
    uintptr_t heap_limit =
        page_padding_start().n + (memory_bytes < HEAP_MAX_BYTES ? memory_bytes : HEAP_MAX_BYTES);
    /* Beyond what the image's address has; without that none at all (noaslr). */
    unsigned random = pv_random_rest;
    _Static_assert(HEAP_STARTS * AREA_STARTS <= 1u << 16, "there are enough random bits");
    heap_init(random % HEAP_STARTS * 16, heap_limit);
    /* Addresses are cheap: several times the memory, for gaps, guards and fragmentation. */
    area_end = heap_limit + 4 * memory_bytes + (64ul << 20);
    uintptr_t limit = ((uintptr_t)image_start & -L3_BYTES) + L3_BYTES;
    if (area_end > limit)
        area_end = limit;
    area_end &= -TABLE_BYTES;
    int error = pagetable_init(heap_limit, area_end, &area_start);
    area_start += random / HEAP_STARTS % AREA_STARTS * PAGE_SIZE;
    search_from = area_start;
    if (!error && !pv_boot.wx_enforced)
        error = protect_image();
    else if (!error)
        error = pagetable_protect_boot((uintptr_t)image_relro_start, (uintptr_t)image_text_start,
                                       VM_READ);
    return error;
}
