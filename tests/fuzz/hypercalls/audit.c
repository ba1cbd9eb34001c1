/*
 * Whether the promises hold, see fuzz.h. The page tables are read as they are, table by table
 * through the window, from the root on.
 */
#include "tests/fuzz/hypercalls/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <xen/version.h>

#include "kernel/clock.h"

#define WINDOW_PAGE 16 /* and the three behind it */
#define HYPERVISOR_FIRST 256
#define HYPERVISOR_LAST 271
#define LARGE_PAGE 0x80
#define CANARY_BYTES (64ul << 10)

#define BITMAP_BYTES (1ul << 17) /* a bit for each frame below 4 GiB */

static uint8_t *tables, *seen; /* what the root reaches; what of it this walk has been to */
static uint8_t *canary;        /* memory that no call was told of */
static uint64_t text_sum, last_ns;

static uint64_t sum(uint64_t start, uint64_t end)
{
    uint64_t total = 0;

    for (const uint64_t *at = (const void *)start; (uint64_t)at < end; at++)
        total = total * 31 + *at;
    return total;
}

static bool is_table(uint64_t n)
{
    return n < 1ul << 20 && (tables[n / 8] >> n % 8 & 1);
}

static void check_leaf(uint64_t entry, uint64_t address)
{
    uint64_t n = (entry & PV_PTE_FRAME) >> PAGE_SHIFT;

    if (on_parvus && entry & PV_PTE_WRITE && !(entry & PV_PTE_NX))
        failed("0x%lx is mapped writable and executable: 0x%lx", address, entry);
    if (entry & PV_PTE_WRITE && is_table(n))
        failed("0x%lx maps a page table writable: 0x%lx", address, entry);
    if (on_parvus && n >= 0x100 && n < arena.frames && n != arena.shared.n && !frame_is_ours(n))
        failed("0x%lx maps a frame that is not ours: 0x%lx", address, entry);
    if (on_parvus && n >= 0xfec00 && n < 0xfef00)
        failed("0x%lx maps an interrupt controller: 0x%lx", address, entry);
}

/* Returns whether it was marked before. */
static bool mark(uint8_t *bitmap, uint64_t n)
{
    uint8_t bit = (uint8_t)(1 << n % 8);
    bool before = bitmap[n / 8] & bit;

    bitmap[n / 8] |= bit;
    return before;
}

/* First notes the tables, then looks at what they map. Each table counts once. writable: what the
 * entries above leave of that bit; on Xen a table may stand for one of the level below in a
 * read-only entry
 * ("linear page tables"), while Parvus promises the bit of the last level. */
static void walk(mfn_t table, unsigned level, uint64_t address, uint64_t writable, bool look)
{
    const uint64_t *entries = window_map(WINDOW_PAGE + level, table, FLAGS_CONSTANT);

    if (!entries)
        failed("the table 0x%lx cannot be read", table.n);
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t entry = entries[i], at = address + (i << (PAGE_SHIFT + 9 * (level - 1)));
        mfn_t below = {(entry & PV_PTE_FRAME) >> PAGE_SHIFT};

        if (!(entry & PV_PTE_PRESENT) ||
            (level == 4 && i >= HYPERVISOR_FIRST && i <= HYPERVISOR_LAST))
            continue;
        if (level == 1) {
            if (look)
                check_leaf(entry & (writable | ~PV_PTE_WRITE), at);
            continue;
        }
        if (!on_parvus && !frame_is_ours(below.n))
            continue; /* Xen's slots of a root that stands for an L3 */
        if (entry & LARGE_PAGE || !frame_is_ours(below.n))
            failed("level %u has 0x%lx for 0x%lx", level, entry, at);
        if (!mark(seen, below.n)) {
            mark(tables, below.n);
            walk(below, level - 1, at, on_parvus ? writable : writable & entry, look);
        }
    }
    window_unmap(WINDOW_PAGE + level);
}

void audit_begin(void)
{
    tables = calloc(1, BITMAP_BYTES);
    seen = calloc(1, BITMAP_BYTES);
    canary = malloc(CANARY_BYTES);
    memset(canary, CONSTANT_BYTE, CANARY_BYTES);
    text_sum = sum(arena.text_start, arena.text_end);
}

static void check_bytes(const uint8_t *bytes, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != CONSTANT_BYTE)
            failed("%s: byte %zu was changed", what, i);
}

void audit(void)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (CALL(__HYPERVISOR_xen_version, XENVER_pagesize) != PAGE_SIZE)
        failed("the hypervisor does not know the size of a page");
    if (now_ns < last_ns)
        failed("the clock went back from %lu to %lu", last_ns, now_ns);
    last_ns = now_ns;
    if (sum(arena.text_start, arena.text_end) != text_sum)
        failed("the image's text or constants were changed");
    check_bytes(arena.constant, PAGE_SIZE, "the constant page");
    check_bytes(canary, CANARY_BYTES, "memory that no call was told of");
    memset(tables, 0, BITMAP_BYTES);
    mark(tables, arena.root.n);
    for (int look = 0; look < 2; look++) {
        memset(seen, 0, BITMAP_BYTES);
        mark(seen, arena.root.n); /* Xen lets a root contain itself, read-only */
        walk(arena.root, 4, 0, PV_PTE_WRITE, look);
    }
}
