/* See m2p.h. */
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/work.h"

#define M2P_SLOT 256
#define ENTRIES_PER_PAGE (PAGE_BYTES / 8)
#define INVALID_ENTRY (~0ul) /* xen.h: INVALID_P2M_ENTRY */

static struct {
    uint64_t first_mfn, pages, first_pfn;
} ranges[MAX_FREE_RANGES];
static unsigned int nr_ranges;

static uint64_t m2p_l3[512] __attribute__((aligned(4096)));
static uint64_t m2p_l2[512] __attribute__((aligned(4096)));
/* One L1 for each 2 MiB of the table, and the table's pages, from memory_take(). */
static uint64_t *m2p_l1;
static uint64_t (*m2p_pages)[ENTRIES_PER_PAGE];
static uint64_t nr_table_pages;

void m2p_init(void)
{
    nr_table_pages = (frame_limit + ENTRIES_PER_PAGE - 1) / ENTRIES_PER_PAGE;

    uint64_t nr_l1 = (nr_table_pages + 511) / 512;

    m2p_l1 = __builtin_memset(memory_take(nr_l1 * PAGE_BYTES), 0, nr_l1 * PAGE_BYTES);
    m2p_pages = memory_take(nr_table_pages * PAGE_BYTES);
    for (uint64_t i = 0; i < nr_l1; i++)
        m2p_l2[i] = (virtual_to_machine(m2p_l1) + i * PAGE_BYTES) | PTE_P | PTE_US | PTE_A;
    m2p_l3[0] = virtual_to_machine(m2p_l2) | PTE_P | PTE_US | PTE_A;
    boot_l4[M2P_SLOT] = virtual_to_machine(m2p_l3) | PTE_P | PTE_US | PTE_A | PTE_NX;
}

void m2p_add_range(uint64_t first_mfn, uint64_t pages, uint64_t first_pfn)
{
    ranges[nr_ranges].first_mfn = first_mfn;
    ranges[nr_ranges].pages = pages;
    ranges[nr_ranges].first_pfn = first_pfn;
    nr_ranges++;
}

static void fill(uint64_t index)
{
    uint64_t first = index * ENTRIES_PER_PAGE;

    if (m2p_l1[index] & PTE_P)
        return;
    work.left -= 4 * WORK_PAGE;
    for (uint64_t i = 0; i < ENTRIES_PER_PAGE; i++)
        m2p_pages[index][i] = INVALID_ENTRY;
    for (unsigned int r = 0; r < nr_ranges; r++) {
        uint64_t end = ranges[r].first_mfn + ranges[r].pages;
        uint64_t from = first > ranges[r].first_mfn ? first : ranges[r].first_mfn;
        uint64_t to = end < first + ENTRIES_PER_PAGE ? end : first + ENTRIES_PER_PAGE;

        for (uint64_t n = from; n < to; n++)
            m2p_pages[index][n - first] = n - ranges[r].first_mfn + ranges[r].first_pfn;
    }
    m2p_l1[index] = virtual_to_machine(m2p_pages[index]) | PTE_P | PTE_US | PTE_A | PTE_NX;
}

int m2p_set(mfn_t frame, uint64_t pfn)
{
    if (frame.n >= frame_limit || frame_type(frame) == FRAME_FIXED)
        return -EINVAL;
    fill(frame.n / ENTRIES_PER_PAGE);
    m2p_pages[frame.n / ENTRIES_PER_PAGE][frame.n % ENTRIES_PER_PAGE] = pfn;
    return 0;
}

int m2p_fault(uint64_t addr)
{
    uint64_t index = (addr - HYPERVISOR_VIRT_START) / PAGE_BYTES;

    if (addr < HYPERVISOR_VIRT_START || index >= nr_table_pages || (m2p_l1[index] & PTE_P))
        return 0;
    fill(index);
    return 1;
}
