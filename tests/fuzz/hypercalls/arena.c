/* The fuzzer's memory and page tables, see fuzz.h. */
#include "tests/fuzz/hypercalls/fuzz.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>

#include "kernel/pagetable.h"
#include "kernel/vm.h"

struct arena arena;

static mfn_t window_l3, window_l2, window_l1;
static mfn_t tables[7]; /* l3, l2, l1, l1, the window's */

unsigned first_slot;

static long update(mfn_t table, unsigned index, uint64_t entry)
{
    struct mmu_update request = {(table.n << PAGE_SHIFT) + index * 8ul, entry};

    return CALL(__HYPERVISOR_mmu_update, address_of(&request), 1, 0, DOMID_SELF);
}

static long mmuext(unsigned command, mfn_t frame)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = frame.n};

    return CALL(__HYPERVISOR_mmuext_op, address_of(&op), 1, 0, DOMID_SELF);
}

static void must(long result, const char *what)
{
    if (result)
        failed("%s: error %ld", what, result);
}

static mfn_t mfn_behind(const void *page)
{
    return pv_mfn(pagetable_frame((uintptr_t)page));
}

/* Pages with an unmapped one behind them. */
static uint8_t *pages(size_t count)
{
    void *memory;

    must(vm_map(&memory, (count + 1) * PAGE_SIZE, VM_READ | VM_WRITE | VM_GUARD, "fuzz"), "memory");
    must(vm_unmap((char *)memory + count * PAGE_SIZE, PAGE_SIZE), "guard page");
    return memory;
}

/* Frames of ours that the kernel believes to have mapped, but nobody has. */
static void take_frames(mfn_t *out, unsigned count)
{
    uint8_t *memory = pages(count);

    for (unsigned i = 0; i < count; i++) {
        out[i] = mfn_behind(memory + i * PAGE_SIZE);
        must(CALL(__HYPERVISOR_update_va_mapping, address_of(memory + i * PAGE_SIZE), 0,
                  UVMF_INVLPG | UVMF_LOCAL),
             "unmapping a frame");
    }
}

static void find_frames(void)
{
    pfn_t frame;
    const uint64_t *l1 = pv_boot_table((vaddr_t){address_of(pv_shared_page)}, 1, &frame);
    unsigned width = 36, ebx, ecx, edx;

    __get_cpuid(0x80000008, &width, &ebx, &ecx, &edx); /* SDM volume 2, CPUID */
    arena.address_limit = 1ul << ((width & 0xff) - PAGE_SHIFT);

    arena.shared.n =
        (l1[address_of(pv_shared_page) >> PAGE_SHIFT & 511] & PV_PTE_FRAME) >> PAGE_SHIFT;
    arena.frames = (uint64_t)CALL(__HYPERVISOR_memory_op, XENMEM_maximum_ram_page);
    arena.is_ours = calloc(1, 1ul << 17);
    for (uint64_t pfn = 0; pfn < pv_boot.nr_pages; pfn++) {
        uint64_t n = pv_mfn((pfn_t){pfn}).n;

        if (n < 1ul << 20)
            arena.is_ours[n / 8] |= (uint8_t)(1 << n % 8);
    }
}

void *window_map(unsigned page, mfn_t frame, uint64_t flags)
{
    uint64_t address = WINDOW_START + page * PAGE_SIZE;

    return CALL(__HYPERVISOR_update_va_mapping, address, entry_of(frame, flags),
                UVMF_INVLPG | UVMF_LOCAL)
               ? NULL
               : (void *)address;
}

void window_unmap(unsigned page)
{
    must(CALL(__HYPERVISOR_update_va_mapping, WINDOW_START + page * PAGE_SIZE, 0,
              UVMF_INVLPG | UVMF_LOCAL),
         "unmapping in the window");
}

static void make_table(mfn_t table, unsigned pin)
{
    must(mmuext(MMUEXT_CLEAR_PAGE, table), "clearing a table");
    must(mmuext(pin, table), "pinning a table");
}

static void link_private(void)
{
    must(update(arena.root, first_slot, entry_of(arena.l3, FLAGS_TABLE)), "the private L3");
    must(update(arena.root, first_slot + 1, 0), "the second private slot");
    must(update(arena.l3, 0, entry_of(arena.l2, FLAGS_TABLE)), "the private L2");
    for (unsigned i = 0; i < 2; i++)
        must(update(arena.l2, i, entry_of(arena.l1[i], FLAGS_TABLE)), "a private L1");
}

void arena_make(void)
{
    extern const char image_start[], image_data_start[];
    pfn_t frame;

    arena.arguments = pages(ARGUMENT_PAGES);
    arena.results = pages(RESULT_PAGES);
    arena.list = pages(1);
    arena.inner = pages(1);
    arena.constant = pages(1);
    memset(arena.constant, CONSTANT_BYTE, PAGE_SIZE);
    must(vm_protect(arena.constant, PAGE_SIZE, VM_READ), "constants");
    arena.list_frame = mfn_behind(arena.list);
    arena.inner_frame = mfn_behind(arena.inner);
    arena.text_start = address_of(image_start);
    arena.text_end = address_of(image_data_start);
    find_frames();
    arena.results_frame = mfn_behind(arena.results);

    const uint64_t *root = pv_boot_table((vaddr_t){arena.text_start}, 4, &frame);

    arena.root = pv_mfn(frame);
    for (first_slot = 1; root[first_slot] | root[first_slot + 1] | root[first_slot + 2];)
        if (++first_slot == 254)
            failed("no three slots of the root are free");
    take_frames(arena.pool, NR_POOL);
    take_frames(tables, 7);
    arena.l3 = tables[0], arena.l2 = tables[1], arena.l1[0] = tables[2], arena.l1[1] = tables[3];
    window_l3 = tables[4], window_l2 = tables[5], window_l1 = tables[6];
    make_table(arena.l1[0], MMUEXT_PIN_L1_TABLE);
    make_table(arena.l1[1], MMUEXT_PIN_L1_TABLE);
    make_table(arena.l2, MMUEXT_PIN_L2_TABLE);
    make_table(arena.l3, MMUEXT_PIN_L3_TABLE);
    make_table(window_l1, MMUEXT_PIN_L1_TABLE);
    make_table(window_l2, MMUEXT_PIN_L2_TABLE);
    make_table(window_l3, MMUEXT_PIN_L3_TABLE);
    must(update(arena.root, first_slot + 2, entry_of(window_l3, FLAGS_TABLE)), "the window's L3");
    must(update(window_l3, 0, entry_of(window_l2, FLAGS_TABLE)), "the window's L2");
    must(update(window_l2, 0, entry_of(window_l1, FLAGS_TABLE)), "the window's L1");
    link_private();
}

static void clear_table(mfn_t table)
{
    static struct mmu_update requests[512];

    for (unsigned i = 0; i < 512; i++)
        requests[i] = (struct mmu_update){(table.n << PAGE_SHIFT) + i * 8ul, 0};
    must(CALL(__HYPERVISOR_mmu_update, address_of(requests), 512, 0, DOMID_SELF),
         "clearing a table's entries");
}

/* Unpinned, mapped nowhere and in no table, a frame can be anything again, and nothing twice. */
static void check_frame(mfn_t frame)
{
    uint8_t *page = window_map(0, frame, FLAGS_DATA);

    if (!page)
        failed("frame 0x%lx, which nobody uses, cannot be mapped writable", frame.n);
    page[0] = 1;
    if (mmuext(MMUEXT_PIN_L1_TABLE, frame) == 0)
        failed("frame 0x%lx is pinned as a table while it is mapped writable", frame.n);
    if (on_parvus && window_map(1, frame, FLAGS_CONSTANT & ~PV_PTE_NX))
        failed("frame 0x%lx is mapped executable while it is mapped writable", frame.n);
    window_unmap(0);
    must(mmuext(MMUEXT_CLEAR_PAGE, frame), "clearing a frame without use");
    for (unsigned level = 1; level <= 4; level++) {
        if (mmuext(MMUEXT_PIN_L1_TABLE + level - 1, frame))
            failed("frame 0x%lx, which nobody uses, is no table of level %u", frame.n, level);
        if (window_map(0, frame, FLAGS_DATA))
            failed("frame 0x%lx is mapped writable while it is a table of level %u", frame.n,
                   level);
        must(mmuext(MMUEXT_UNPIN_TABLE, frame), "unpinning a table");
    }
}

void arena_reset(void)
{
    must(update(arena.root, first_slot, 0), "unlinking the private L3");
    must(update(arena.root, first_slot + 1, 0), "unlinking the second private slot");
    clear_table(arena.l3);
    clear_table(arena.l2);
    clear_table(arena.l1[0]);
    clear_table(arena.l1[1]);
    for (unsigned i = 0; i < NR_POOL; i++)
        mmuext(MMUEXT_UNPIN_TABLE, arena.pool[i]);
    for (unsigned i = 0; i < 4; i++) /* still pinned, as nobody unpins them */
        if (window_map(0, tables[i], FLAGS_DATA))
            failed("the pinned table 0x%lx can be mapped writable", tables[i].n);
    for (unsigned i = 0; i < NR_POOL; i++)
        check_frame(arena.pool[i]);
    link_private();
}
