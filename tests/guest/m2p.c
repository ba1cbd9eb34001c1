/*
 * The machine-to-physical table, and the page tables as they really are: read frame by frame
 * through a window, not from the kernel's records.
 */
#include "tests/guest/hypercall.h"

#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>

#include "tests/guest/test.h"

/* --- Machine to physical -------------------------------------------------------------------- */

static const volatile uint64_t *machine_to_physical(void)
{
    struct xen_machphys_mapping mapping;

    if (!CHECK_OK(hypercall(__HYPERVISOR_memory_op, XENMEM_machphys_mapping, address_of(&mapping),
                            0, 0, 0)))
        return NULL;
    CHECK_EQ(mapping.v_start, 0xffff800000000000);
    CHECK_GE(mapping.max_mfn + 1, last_frame()); /* Xen gives the number of frames there */
    return (const uint64_t *)mapping.v_start;
}

TEST_WHERE(m2p_consistent, "The machine-to-physical table is the inverse of the domain's own list.",
           needs_upper_half)
{
    const volatile uint64_t *table = machine_to_physical();

    REQUIRE(table);
    for (uint64_t pfn = 0; pfn < pv_boot.nr_pages && !test_has_failed(); pfn++)
        CHECK_EQ(table[pv_mfn((pfn_t){pfn}).n], pfn);
}

TEST_WHERE(m2p_read_only, "The machine-to-physical table can be changed by MACHPHYS_UPDATE only.",
           needs_upper_half)
{
    const volatile uint64_t *table = machine_to_physical();
    mfn_t frame = mfn_of_image(spare[0]);

    REQUIRE(table);
    uint64_t pfn = table[frame.n];
    CHECK_FAULT(access_write, (void *)(uintptr_t)&table[frame.n], TRAP_PAGE_FAULT);
    CHECK_EQ(table[frame.n], pfn);
    CHECK_OK(update_raw(frame.n << PAGE_SHIFT, MMU_MACHPHYS_UPDATE, 12345));
    CHECK_EQ(table[frame.n], 12345);
    CHECK_OK(update_raw(frame.n << PAGE_SHIFT, MMU_MACHPHYS_UPDATE, pfn));
    CHECK_EQ(table[frame.n], pfn);
    CHECK_LT(update_raw((last_frame() + 1) << PAGE_SHIFT, MMU_MACHPHYS_UPDATE, 1), 0);
}

TEST_WHERE(m2p_end, "Behind the machine-to-physical table the hypervisor's addresses stay closed.",
           needs_upper_half)
{
    const volatile uint64_t *table = machine_to_physical();

    REQUIRE(table);
    CHECK_FAULT(access_call, (void *)(uintptr_t)table, TRAP_PAGE_FAULT);
    if (host_is_parvus()) { /* Xen rounds its table up to 2 MiB */
        const volatile uint64_t *behind = &table[(last_frame() | 511) + 1];

        CHECK_FAULT(access_read, (void *)(uintptr_t)behind, TRAP_PAGE_FAULT);
    }
}

/* --- A walk over the page tables as they are ------------------------------------------------ */

/* Bit maps by machine frame. */
static uint8_t *tables, *writable, *executable;
static uint64_t nr_frames;

static void set_bit(uint8_t *map, uint64_t frame)
{
    if (frame < nr_frames)
        map[frame / 8] |= (uint8_t)(1 << frame % 8);
}

static bool test_bit(const uint8_t *map, uint64_t frame)
{
    return map[frame / 8] >> frame % 8 & 1;
}

#define ROOT_SLOTS_OF_HYPERVISOR(i) ((i) >= 256 && (i) < 272)

/* One window for each level: a spare page, mapped read-only over the table. */
static void walk(mfn_t table, unsigned level, bool may_write, bool may_execute)
{
    const volatile uint64_t *entries = (const uint64_t *)spare[level - 1];

    set_bit(tables, table.n);
    if (!CHECK_OK(map_raw(spare[level - 1], entry_for(table, ENTRY_CONSTANT))))
        return;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = entries[i];
        uint64_t frame = (entry & PV_PTE_FRAME) >> PAGE_SHIFT;
        bool writes = may_write && (entry & PV_PTE_WRITE);
        bool executes = may_execute && !(entry & PV_PTE_NX);

        if (!(entry & PV_PTE_PRESENT) || (level == 4 && ROOT_SLOTS_OF_HYPERVISOR(i)))
            continue;
        if (level > 1) {
            walk((mfn_t){frame}, level - 1, writes, executes);
            continue;
        }
        if (writes)
            set_bit(writable, frame);
        if (executes)
            set_bit(executable, frame);
        if (writes && executes)
            FAIL("frame 0x%lx is mapped writable and executable at once", frame);
    }
}

static unsigned count_bits(const uint8_t *map)
{
    unsigned count = 0;

    for (uint64_t n = 0; n < nr_frames; n++)
        count += test_bit(map, n);
    return count;
}

TEST(page_tables_as_they_are,
     "No table is writable, no frame writable and executable, by any mapping.")
{
    nr_frames = last_frame() + 1;
    uint8_t *maps = calloc(3, nr_frames / 8 + 1);
    REQUIRE(maps);
    tables = maps;
    writable = tables + nr_frames / 8 + 1;
    executable = writable + nr_frames / 8 + 1;

    walk((mfn_t){boot_entry_address(spare, 4) >> PAGE_SHIFT}, 4, true, true);
    for (unsigned i = 0; i < SPARE_PAGES; i++)
        restore_spare(i);
    for (uint64_t n = 0; n < nr_frames && !test_has_failed(); n++) {
        if (test_bit(tables, n) && test_bit(writable, n))
            FAIL("page table 0x%lx is mapped writable", n);
        if (test_bit(executable, n) && test_bit(writable, n))
            FAIL("frame 0x%lx is writable and executable", n);
    }
    CHECK_LT(4, count_bits(tables));
    CHECK_LT(16, count_bits(executable));
    CHECK_LT(64, count_bits(writable));
    free(maps);
}
