/*
 * The kernel's record of its page tables, and the updates that keep the real ones in step.
 *
 * Callers: kernel/vm.c, kernel/heap.c, kernel/page.c, with vm_lock held, which protects everything
 * here. Ring 3. Levels: a root (L4) and one L3 made at boot; L2 tables map 1 GiB each, L1 tables
 * 2 MiB each. All addresses in use are in the 512 GiB around the image, hence one L3.
 *
 * The records lie in an area of their own, of which only the pages in use are mapped:
 *   tables   one struct table for every 2 MiB of addresses from `origin` on (a page of them for
 *            every GiB)
 *   regions  structs of kernel/vm.c
 *   freed    kernel/page.c's stack of free frames
 *   pages    one pfn for every page of addresses (a page of them for every 4 MiB)
 * The L1 tables of the records' area itself are in record_tables; it never shrinks.
 */
#include "kernel/pagetable.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kernel/vm.h"

#define ENTRIES 512ul
#define TABLE_BYTES (ENTRIES * PAGE_SIZE)       /* mapped by one L1 table */
#define DIRECTORY_BYTES (ENTRIES * TABLE_BYTES) /* mapped by one L2 table */
#define RECORD_TABLES 512                       /* caps the records' area at 1 GiB */
#define MAX_REGION_AREA_BYTES (64ul << 20)

struct table {
    uint32_t pfn;     /* of the L1 table; 0: there is none */
    uint16_t live;    /* pages mapped by it */
    bool permanent;   /* made by the hypervisor at boot */
    bool has_records; /* the page of `pages` for its addresses is mapped */
};

static pfn_t root_l3;
static uint32_t directories[ENTRIES]; /* by L3 entry: pfn of the L2 table; 0: there is none */

static uintptr_t origin;          /* records begin with this address, a little below the image */
static bool has_records[ENTRIES]; /* by (address - origin) / DIRECTORY_BYTES: of `tables` */

static uintptr_t area_start, area_regions, area_freed, area_end;
static struct table *tables; /* by (address - origin) / TABLE_BYTES */
static uint32_t *pages;      /* by (address - origin) / PAGE_SIZE; 0: not backed */

/* In `pages`: the frame is another mapping's, which frees it; with all bits set, a device's. */
#define NOT_OURS 0x80000000u
#define DEVICE_PAGE UINT32_MAX
static uint32_t record_tables[RECORD_TABLES];

static unsigned index_at(uintptr_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1);
}

static uint64_t leaf_flags(int prot)
{
    if (!(prot & (VM_READ | VM_WRITE | VM_EXEC)))
        return 0;
    return PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY |
           (prot & VM_WRITE ? PV_PTE_WRITE : 0) | (prot & VM_EXEC ? 0 : PV_PTE_NX);
}

static uint64_t leaf(uint32_t pfn, uint64_t flags)
{
    return flags ? pv_mfn((pfn_t){pfn}).n << PAGE_SHIFT | flags : 0;
}

static uint64_t table_entry(pfn_t pfn)
{
    return pv_mfn(pfn).n << PAGE_SHIFT | PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER |
           PV_PTE_ACCESSED;
}

/* --- Tables --------------------------------------------------------------------------------- */

/* Takes a frame and hangs it, empty, into entry `index` of a table one level up. */
static int new_table(pfn_t parent, unsigned index, uint32_t *out)
{
    pfn_t pfn;
    int error = page_alloc(&pfn);

    if (error)
        return error;
    pv_mmu_clear(pfn);
    pv_mmu_set(pv_mmu_slot(parent, index), table_entry(pfn));
    *out = (uint32_t)pfn.n;
    return 0;
}

static int ensure_directory(uintptr_t va)
{
    uint32_t pfn;
    pfn_t at_boot;

    if (directories[index_at(va, 3)])
        return 0;
    if (pv_boot_table((vaddr_t){va}, 2, &at_boot)) {
        pfn = (uint32_t)at_boot.n;
    } else {
        int error = new_table(root_l3, index_at(va, 3), &pfn);
        if (error)
            return error;
    }
    directories[index_at(va, 3)] = pfn;
    return 0;
}

static pfn_t directory_of(uintptr_t va)
{
    return (pfn_t){directories[index_at(va, 3)]};
}

int pagetable_map_record(uintptr_t page, const pfn_t *frame)
{
    uint32_t *table = &record_tables[(page - area_start) / TABLE_BYTES];
    pfn_t pfn;
    int error = ensure_directory(page);

    if (!error && !*table)
        error = new_table(directory_of(page), index_at(page, 2), table);
    if (!error && frame)
        pfn = *frame;
    else if (!error)
        error = page_alloc(&pfn);
    if (error)
        return error;
    pv_mmu_set(pv_mmu_slot((pfn_t){*table}, index_at(page, 1)),
               leaf((uint32_t)pfn.n, leaf_flags(VM_READ | VM_WRITE)));
    error = pv_mmu_flush();
    if (error)
        return error;
    memset((void *)page, 0, PAGE_SIZE);
    return 0;
}

/* The L1 table of va and the record pages it needs. */
static int ensure_table(uintptr_t va, struct table **out)
{
    int error = ensure_directory(va);
    pfn_t at_boot;

    if (!error && !has_records[(va - origin) / DIRECTORY_BYTES]) {
        error = pagetable_map_record((uintptr_t)&tables[(va - origin) / DIRECTORY_BYTES * ENTRIES],
                                     NULL);
        has_records[(va - origin) / DIRECTORY_BYTES] = !error;
    }
    if (error)
        return error;

    struct table *t = &tables[(va - origin) / TABLE_BYTES];
    if (!t->has_records) {
        /* One page records two neighbouring tables. */
        struct table *pair = &tables[(va - origin) / TABLE_BYTES & ~1ul];

        error = pagetable_map_record(
            (uintptr_t)&pages[(va - origin) / TABLE_BYTES / 2 * 2 * ENTRIES], NULL);
        if (error)
            return error;
        pair[0].has_records = pair[1].has_records = true;
    }
    if (!t->pfn && pv_boot_table((vaddr_t){va}, 1, &at_boot)) {
        t->pfn = (uint32_t)at_boot.n;
        t->permanent = true;
    } else if (!t->pfn) {
        error = new_table(directory_of(va), index_at(va, 2), &t->pfn);
    }
    *out = t;
    return error;
}

/* The recorded table of va, or NULL if nothing was ever mapped around there. */
static struct table *find_table(uintptr_t va)
{
    if (!has_records[(va - origin) / DIRECTORY_BYTES])
        return NULL;
    struct table *t = &tables[(va - origin) / TABLE_BYTES];
    return t->pfn && t->has_records ? t : NULL;
}

static uintptr_t next_table(uintptr_t va, uintptr_t end)
{
    uintptr_t next = (va / TABLE_BYTES + 1) * TABLE_BYTES;

    return next < end ? next : end;
}

/* --- Pages ---------------------------------------------------------------------------------- */

static int map_in_table(struct table *t, uintptr_t start, uintptr_t end, uint64_t flags)
{
    maddr_t slot = pv_mmu_slot((pfn_t){t->pfn}, index_at(start, 1));

    for (uintptr_t va = start; va < end; va += PAGE_SIZE, slot.n += sizeof(uint64_t)) {
        pfn_t pfn;
        int error = page_alloc(&pfn);

        if (error)
            return error;
        pages[(va - origin) / PAGE_SIZE] = (uint32_t)pfn.n;
        t->live++;
        pv_mmu_set(slot, leaf((uint32_t)pfn.n, flags));
    }
    return 0;
}

int pagetable_map(uintptr_t start, uintptr_t end, int prot)
{
    uint64_t flags = leaf_flags(prot);
    struct table *t;
    int error = 0;

    for (uintptr_t va = start; !error && va < end; va = next_table(va, end)) {
        error = ensure_table(va, &t);
        if (!error)
            error = map_in_table(t, va, next_table(va, end), flags);
    }
    int refused = pv_mmu_flush();
    if (!error)
        error = refused;
    if (error)
        pagetable_unmap(start, end);
    return error;
}

int pagetable_map_device(uintptr_t start, uintptr_t end, mfn_t frame)
{
    uint64_t entry = frame.n << PAGE_SHIFT | leaf_flags(VM_READ | VM_WRITE) | PV_PTE_UNCACHED;
    int error = 0;

    for (uintptr_t va = start; !error && va < end; va += PAGE_SIZE, entry += PAGE_SIZE) {
        struct table *t;

        error = ensure_table(va, &t);
        if (!error) {
            pages[(va - origin) / PAGE_SIZE] = DEVICE_PAGE;
            t->live++;
            pv_mmu_set(pv_mmu_slot((pfn_t){t->pfn}, index_at(va, 1)), entry);
        }
    }
    int refused = pv_mmu_flush();
    if (!error)
        error = refused;
    if (error)
        pagetable_unmap(start, end);
    return error;
}

int pagetable_map_again(uintptr_t start, void *const *from, size_t count, int prot)
{
    const uintptr_t end = start + count * PAGE_SIZE;
    uint64_t flags = leaf_flags(prot);
    int error = 0;

    for (uintptr_t va = start; !error && va < end; va += PAGE_SIZE, from++) {
        struct table *t;

        if (!*from)
            continue;
        error = ensure_table(va, &t);
        if (!error) {
            uint32_t pfn = (uint32_t)pagetable_frame((uintptr_t)*from).n;

            pages[(va - origin) / PAGE_SIZE] = pfn | NOT_OURS;
            t->live++;
            pv_mmu_set(pv_mmu_slot((pfn_t){t->pfn}, index_at(va, 1)), leaf(pfn, flags));
        }
    }
    int refused = pv_mmu_flush();
    if (!error)
        error = refused;
    if (error)
        pagetable_unmap(start, end);
    return error;
}

pfn_t pagetable_frame(uintptr_t va)
{
    /* As long as memory is in use its side of the padding's end does not change. */
    extern const char image_start[]; /* kernel/guest.lds: where pfn 0 is mapped at boot */

    if (va < page_padding_limit)
        return (pfn_t){(va - (uintptr_t)image_start) / PAGE_SIZE};
    return (pfn_t){pages[(va - origin) / PAGE_SIZE] & ~NOT_OURS};
}

/* Rewrites the entries of all backed pages of a range; a device's stay as they are or go. */
static void set_in_table(const struct table *t, uintptr_t start, uintptr_t end, uint64_t flags)
{
    maddr_t slot = pv_mmu_slot((pfn_t){t->pfn}, index_at(start, 1));

    for (uintptr_t va = start; va < end; va += PAGE_SIZE, slot.n += sizeof(uint64_t)) {
        uint32_t pfn = pages[(va - origin) / PAGE_SIZE];

        if (pfn && (pfn != DEVICE_PAGE || !flags)) {
            pv_mmu_set(slot, leaf(pfn & ~NOT_OURS, flags));
            pv_mmu_invalidate((vaddr_t){va});
        }
    }
}

static void free_in_table(struct table *t, uintptr_t start, uintptr_t end)
{
    for (uintptr_t va = start; va < end; va += PAGE_SIZE) {
        uint32_t *pfn = &pages[(va - origin) / PAGE_SIZE];

        if (*pfn) {
            if (!(*pfn & NOT_OURS))
                page_free((pfn_t){*pfn});
            *pfn = 0;
            t->live--;
        }
    }
    if (t->live || t->permanent)
        return;
    pv_mmu_set(pv_mmu_slot(directory_of(start), index_at(start, 2)), 0);
    pv_mmu_invalidate((vaddr_t){start});
    pv_mmu_flush();
    page_free((pfn_t){t->pfn});
    t->pfn = 0;
}

void pagetable_unmap(uintptr_t start, uintptr_t end)
{
    /* First no mapping, in any TLB, then the frames are free. */
    for (uintptr_t va = start; va < end; va = next_table(va, end)) {
        const struct table *t = find_table(va);

        if (t)
            set_in_table(t, va, next_table(va, end), 0);
    }
    pv_mmu_flush();
    for (uintptr_t va = start; va < end; va = next_table(va, end)) {
        struct table *t = find_table(va);

        if (t)
            free_in_table(t, va, next_table(va, end));
    }
}

int pagetable_protect(uintptr_t start, uintptr_t end, int prot)
{
    for (uintptr_t va = start; va < end; va = next_table(va, end)) {
        const struct table *t = find_table(va);

        if (t)
            set_in_table(t, va, next_table(va, end), leaf_flags(prot));
    }
    return pv_mmu_flush();
}

/* --- What the hypervisor mapped at boot ----------------------------------------------------- */

void pagetable_drop_boot_mapping(pfn_t pfn)
{
    vaddr_t va = {(uintptr_t)pv_boot_address(pfn)};
    pfn_t table;

    if (pv_boot_table(va, 1, &table)) {
        pv_mmu_set(pv_mmu_slot(table, index_at(va.n, 1)), 0);
        pv_mmu_invalidate(va);
    }
}

int pagetable_protect_boot(uintptr_t start, uintptr_t end, int prot)
{
    for (uintptr_t va = start; va < end; va += PAGE_SIZE) {
        pfn_t table;
        uint64_t old = pv_boot_table((vaddr_t){va}, 1, &table)[index_at(va, 1)];
        uint64_t new = (old & PV_PTE_FRAME) | leaf_flags(prot);

        if (!(old & PV_PTE_WRITE)) /* the page tables themselves stay read-only */
            new &= ~PV_PTE_WRITE;
        pv_mmu_set(pv_mmu_slot(table, index_at(va, 1)), new);
        pv_mmu_invalidate((vaddr_t){va});
    }
    return pv_mmu_flush();
}

/* --- Layout --------------------------------------------------------------------------------- */

static uintptr_t page_up(uintptr_t bytes)
{
    return (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
}

int pagetable_init(uintptr_t start, uintptr_t limit, uintptr_t *end)
{
    uint64_t region_bytes = pv_boot.max_pages * 64; /* about one region for each page there is */

    if (region_bytes > MAX_REGION_AREA_BYTES)
        region_bytes = MAX_REGION_AREA_BYTES;
    origin = (uintptr_t)pv_boot_address((pfn_t){0}) - 2 * TABLE_BYTES;
    area_start = (start + TABLE_BYTES - 1) & -TABLE_BYTES;
    tables = (struct table *)area_start;
    area_regions = area_start + page_up((limit - origin) / TABLE_BYTES * sizeof(*tables));
    area_freed = area_regions + page_up(region_bytes);
    pages = (uint32_t *)(area_freed + page_up(pv_boot.max_pages * sizeof(*pages)));
    area_end = (uintptr_t)pages + page_up((limit - origin) / PAGE_SIZE * sizeof(*pages));
    *end = (area_end + TABLE_BYTES - 1) & -TABLE_BYTES;
    if (*end - area_start > RECORD_TABLES * TABLE_BYTES || *end >= limit)
        return -ENOMEM;
    if (!pv_boot_table((vaddr_t){(uintptr_t)pv_boot_address((pfn_t){0})}, 3, &root_l3))
        return -EINVAL;
    return 0;
}

uintptr_t pagetable_area(enum pagetable_area area, size_t *bytes)
{
    uintptr_t start = area == PAGETABLE_REGIONS ? area_regions : area_freed;
    uintptr_t end = area == PAGETABLE_REGIONS ? area_freed : (uintptr_t)pages;

    *bytes = end - start;
    return start;
}
