/*
 * The guest's page tables as they are: a walk of all of them. Each table is looked at through a
 * spare page that is mapped to it, read-only, for as long.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/vm.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define ENTRIES 512
#define FIRST_HYPERVISOR_SLOT 256
#define LAST_HYPERVISOR_SLOT 271
#define LARGE_PAGE 0x80

/* Sets of machine frames; those beyond `frames` (devices) are counted out. */
static uint64_t frames;
static uint8_t *tables, *writable, *executable;
static unsigned leaves, wx_leaves;

static void add(uint8_t *set, uint64_t frame)
{
    if (frame < frames)
        set[frame / 8] |= (uint8_t)(1 << frame % 8);
}

static bool contains(const uint8_t *set, uint64_t frame)
{
    return set[frame / 8] >> frame % 8 & 1;
}

static void note_leaf(uint64_t entry, bool may_write, bool may_execute)
{
    uint64_t frame = (entry & PV_PTE_FRAME) >> PAGE_SHIFT;

    may_write = may_write && (entry & PV_PTE_WRITE);
    may_execute = may_execute && !(entry & PV_PTE_NX);
    leaves++;
    wx_leaves += may_write && may_execute;
    if (may_write)
        add(writable, frame);
    if (may_execute)
        add(executable, frame);
}

/* may_...: what the levels above allow (SDM volume 3, 4.6: every level has to). */
static void walk(mfn_t table, unsigned level, bool may_write, bool may_execute)
{
    uint64_t *entries = malloc(PAGE_SIZE);

    REQUIRE(entries);
    CHECK_OK(map_raw(spare[0], entry_for(table, ENTRY_CONSTANT)));
    memcpy(entries, spare[0], PAGE_SIZE);
    add(tables, table.n);
    for (unsigned i = 0; i < ENTRIES && !test_has_failed(); i++) {
        uint64_t entry = entries[i];

        if (!(entry & PV_PTE_PRESENT) ||
            (level == 4 && i >= FIRST_HYPERVISOR_SLOT && i <= LAST_HYPERVISOR_SLOT))
            continue;
        if (level == 1)
            note_leaf(entry, may_write, may_execute);
        else if (CHECK(!(entry & LARGE_PAGE)))
            walk((mfn_t){(entry & PV_PTE_FRAME) >> PAGE_SHIFT}, level - 1,
                 may_write && (entry & PV_PTE_WRITE), may_execute && !(entry & PV_PTE_NX));
    }
    free(entries);
}

static bool make_sets(void)
{
    frames = last_frame() + 1;
    size_t bytes = (frames + 7) / 8;

    tables = calloc(1, bytes);
    writable = calloc(1, bytes);
    executable = calloc(1, bytes);
    return CHECK(tables && writable && executable);
}

static void walk_all(void)
{
    leaves = wx_leaves = 0;
    if (make_sets()) {
        walk((mfn_t){boot_entry_address(spare, 4) >> PAGE_SHIFT}, 4, true, true);
        restore_spare(0);
        CHECK_LT(100, leaves);
    }
}

static void check_disjoint(const uint8_t *a, const uint8_t *b)
{
    for (uint64_t n = 0; n < frames && !test_has_failed(); n++)
        if (contains(a, n) && contains(b, n))
            FAIL("frame 0x%lx", n);
}

static void free_sets(void)
{
    free(tables);
    free(writable);
    free(executable);
}

TEST(walk_wx, "No entry of the page tables is writable and executable, nor are two for one frame.")
{
    walk_all();
    CHECK_EQ(wx_leaves, 0);
    check_disjoint(writable, executable);
    free_sets();
}

TEST(walk_tables, "No frame of a page table is mapped writable.")
{
    walk_all();
    check_disjoint(writable, tables);
    free_sets();
}
