/*
 * What the hypervisor built at boot: the frame list and the bootstrap page tables.
 *
 * Callers: pv/start.c, kernel/page.c, kernel/vm.c at boot; pv_mfn at any time. Locks: none, all of
 * it is read-only after boot, but for the list's entries of frames that come and go (pv/frames.c).
 * Layout: xen.h, "Start-of-day memory layout".
 */
#include "pv/shared.h"

#define TABLE_ENTRIES 512

extern char image_start[]; /* kernel/guest.lds: where pfn 0 is mapped */

const uint64_t *pv_frame_list; /* mfn by pfn: pv_mfn in pv/pv.h */

static const uint64_t *root_table;
static pfn_t tables_start; /* the bootstrap page tables lie in consecutive frames */
static uint64_t tables_count;

void *pv_boot_address(pfn_t pfn)
{
    return image_start + pfn.n * PAGE_SIZE;
}

static pfn_t boot_pfn(const void *address)
{
    return (pfn_t){((uintptr_t)address - (uintptr_t)image_start) / PAGE_SIZE};
}

/* They are few: look for its frame. */
const uint64_t *pv_boot_table_behind(uint64_t entry, pfn_t *frame)
{
    if (!(entry & PV_PTE_PRESENT))
        return NULL;
    for (uint64_t i = 0; i < tables_count; i++) {
        pfn_t pfn = {tables_start.n + i};

        if (pv_mfn(pfn).n == (entry & PV_PTE_FRAME) >> PAGE_SHIFT) {
            *frame = pfn;
            return pv_boot_address(pfn);
        }
    }
    return NULL;
}

const uint64_t *pv_boot_table(vaddr_t va, unsigned level, pfn_t *frame)
{
    const uint64_t *table = root_table;

    *frame = boot_pfn(root_table);
    for (unsigned at = 4; table && at > level; at--)
        table = pv_boot_table_behind(
            table[va.n >> (PAGE_SHIFT + 9 * (at - 1)) & (TABLE_ENTRIES - 1)], frame);
    return table;
}

/* The first frame that the bootstrap tables do not map. They map a range without holes. */
static pfn_t find_mapped_end(pfn_t first)
{
    for (uint64_t pfn = first.n;;) {
        vaddr_t va = {(uintptr_t)pv_boot_address((pfn_t){pfn})};
        unsigned index = va.n >> PAGE_SHIFT & (TABLE_ENTRIES - 1);
        pfn_t frame;
        const uint64_t *table = pv_boot_table(va, 1, &frame);

        if (!table || !(table[index] & PV_PTE_PRESENT))
            return (pfn_t){pfn};
        if (table[TABLE_ENTRIES - 1] & PV_PTE_PRESENT) {
            pfn += TABLE_ENTRIES - index;
            continue;
        }
        unsigned low = index, high = TABLE_ENTRIES - 1; /* present at low, not at high */
        while (high - low > 1) {
            unsigned middle = (low + high) / 2;

            if (table[middle] & PV_PTE_PRESENT)
                low = middle;
            else
                high = middle;
        }
        return (pfn_t){pfn + high - index};
    }
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void pv_memory_find_tables(const struct start_info *si)
{
    pv_frame_list = (const uint64_t *)si->mfn_list;
    root_table = (const uint64_t *)si->pt_base;
    tables_start = boot_pfn(root_table);
    tables_count = si->nr_pt_frames;
}

void pv_memory_init(const struct start_info *si)
{
    extern char image_end[];

    pv_memory_find_tables(si);

    /* The boot elements come in a fixed order, but one of them may be missing: take the last. The
     * boot stack is one page behind the tables; we left it already. */
    uint64_t end = boot_pfn(image_end + PAGE_SIZE - 1).n;
    end = max(end, boot_pfn((const char *)(si + 1) + PAGE_SIZE - 1).n);
    end = max(end, boot_pfn((const char *)(pv_frame_list + si->nr_pages) + PAGE_SIZE - 1).n);
    end = max(end, tables_start.n + tables_count);
    if (si->mod_len && !(si->flags & SIF_MOD_START_PFN))
        end = max(end, boot_pfn((const char *)si->mod_start + si->mod_len + PAGE_SIZE - 1).n);
    else if (si->mod_len) /* an initrd beyond the mapped frames, by frame number */
        end = max(end, si->mod_start + (si->mod_len + PAGE_SIZE - 1) / PAGE_SIZE);

    pv_boot.free_start = (pfn_t){end};
    pv_boot.mapped_end = find_mapped_end(boot_pfn(image_start));
}
