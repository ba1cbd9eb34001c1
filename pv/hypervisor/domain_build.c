/*
 * Building the domain: xen.h, "Start-of-day memory layout". Runs once at boot, ring 0.
 *
 * The boot region is, from virtual_base = pfn 0 on: the guest's image, initrd, p2m list,
 * start_info, page tables, stack, and padding. All but the padding lies in one machine range, so
 * that it can be filled through the hypervisor's map.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/abi.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/elf.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/guest_memory.h"
#include "pv/hypervisor/hypercall_page.h"
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/work.h"

#define FEATURES_KNOWN                                                                             \
    (PARVUS_FEATURE_EXIT_STATUS | PARVUS_FEATURE_FAULT_STACK | PARVUS_FEATURE_WX |                 \
     PARVUS_FEATURE_SEAL)
#define REGION_ALIGN (4ul << 20)
#define MIN_PADDING (512ul << 10)

struct domain domain;

/* A page of its own: the guest maps and writes all of it. */
static union {
    struct shared_info info;
    uint8_t page[PAGE_BYTES];
} shared __attribute__((aligned(PAGE_BYTES)));

_Static_assert(sizeof(shared) == PAGE_BYTES, "nothing else in the guest's page");

/* The boot region; all in pages from its start, which is pfn 0. */
static struct {
    struct elf_guest guest;
    uint64_t machine; /* address of pfn 0 */
    uint64_t initrd_page, p2m_page, start_info_page, tables_page, stack_page, end_page;
    uint64_t nr_tables;
    uint64_t mapped_pages; /* end_page plus padding */
} region;

static void *region_at(uint64_t page)
{
    return machine_to_virtual(region.machine + page * PAGE_BYTES);
}

static uint64_t region_virtual(uint64_t page)
{
    return region.guest.virtual_base + page * PAGE_BYTES;
}

/* Tables of one level that map the region; level 1 covers 2 MiB each. */
static uint64_t tables_of_level(unsigned int level, uint64_t start, uint64_t end)
{
    unsigned int shift = PAGE_SHIFT + 9 * level;

    return ((end - 1) >> shift) - (start >> shift) + 1;
}

/* Both in the lower canonical half, or both above the hypervisor's area. */
static int is_guest_half(uint64_t start, uint64_t end)
{
    return end > start && (end <= 1ul << 47 || start >= HYPERVISOR_AREA_END);
}

static void plan_region(const struct boot_range *initrd)
{
    const struct elf_guest *guest = &region.guest;
    uint64_t start = guest->virtual_base, tables = 0, end;

    region.initrd_page = PAGES(guest->virtual_end - guest->virtual_base);
    region.p2m_page = region.initrd_page + (initrd ? PAGES(initrd->end - initrd->start) : 0);
    region.start_info_page = region.p2m_page + PAGES(domain.nr_pages * 8);
    region.tables_page = region.start_info_page + 1;
    /* More tables make the region larger, which may need more tables. */
    do {
        region.nr_tables = tables;
        region.stack_page = region.tables_page + region.nr_tables;
        region.end_page = region.stack_page + 1;
        if (region.end_page > domain.nr_pages)
            boot_fail("too little memory: the guest needs %lu KiB to begin with, there are %lu",
                      region.end_page * 4, domain.nr_pages * 4);

        uint64_t align_pages = REGION_ALIGN / PAGE_BYTES, base_pages = start / PAGE_BYTES;
        uint64_t end_page = base_pages + region.end_page + MIN_PADDING / PAGE_BYTES;

        end_page = (end_page + align_pages - 1) & -align_pages;
        region.mapped_pages = end_page - base_pages;
        if (region.mapped_pages > domain.nr_pages)
            region.mapped_pages = domain.nr_pages;
        end = region_virtual(region.mapped_pages);
        if (!is_guest_half(start, end))
            boot_fail("guest: no room for it at its virtual base %#lx", start);
        tables = 1;
        for (unsigned int level = 1; level < 4; level++)
            tables += tables_of_level(level, start, end);
    } while (tables != region.nr_tables);
}

static void load_guest(void)
{
    for (unsigned int i = 0; i < region.guest.nr_segments; i++) {
        const struct elf_segment *segment = &region.guest.segments[i];
        char *to = (char *)region_at(0) + (segment->virtual_start - region.guest.virtual_base);

        __builtin_memcpy(to, segment->bytes, segment->file_bytes);
        __builtin_memset(to + segment->file_bytes, 0,
                         segment->virtual_end - segment->virtual_start - segment->file_bytes);
    }
}

/*
 * The pseudo-physical map: the ranges one after another. It takes most of the boot where there is
 * much memory, hence eight entries a turn.
 */
static void write_p2m(const struct free_list *memory)
{
    uint64_t *p2m = region_at(region.p2m_page);
    uint64_t pfn = 0;

    for (unsigned int i = 0; i < memory->nr; i++) {
        uint64_t frame = memory->ranges[i].start >> PAGE_SHIFT;
        uint64_t end = memory->ranges[i].end >> PAGE_SHIFT;

        m2p_add_range(frame, end - frame, pfn);
        pfn += end - frame;
        for (; frame + 8 <= end; frame += 8, p2m += 8) {
            p2m[0] = frame;
            p2m[1] = frame + 1;
            p2m[2] = frame + 2;
            p2m[3] = frame + 3;
            p2m[4] = frame + 4;
            p2m[5] = frame + 5;
            p2m[6] = frame + 6;
            p2m[7] = frame + 7;
        }
        while (frame < end)
            *p2m++ = frame++;
    }
}

/* Other flags for the pages page..end-1. */
static void set_flags(uint64_t *entries, uint64_t page, uint64_t end, uint64_t flags)
{
    for (; page < end; page++)
        entries[page] = (entries[page] & PTE_ADDRESS) | flags;
}

static uint64_t page_of(uint64_t virtual)
{
    return (virtual - region.guest.virtual_base) / PAGE_BYTES;
}

/* The L1 entries of the boot region, as one array. */
static void write_l1_entries(uint64_t *entries)
{
    const uint64_t *p2m = region_at(region.p2m_page);
    uint64_t data = PTE_P | PTE_US | PTE_A | PTE_D | PTE_RW;
    uint64_t no_execute = pagetable_enforce_wx ? PTE_NX : 0;

    for (uint64_t page = 0; page < region.mapped_pages; page++)
        entries[page] = p2m[page] << PAGE_SHIFT | data | no_execute;
    set_flags(entries, region.tables_page, region.stack_page, PTE_P | PTE_US | PTE_A | no_execute);
    for (unsigned int i = 0; pagetable_enforce_wx && i < region.guest.nr_segments; i++) {
        const struct elf_segment *segment = &region.guest.segments[i];
        uint64_t flags = segment->is_writable ? data : data & ~(uint64_t)(PTE_RW | PTE_D);

        set_flags(entries, page_of(segment->virtual_start),
                  page_of(segment->virtual_end + PAGE_BYTES - 1),
                  segment->is_executable ? flags : flags | PTE_NX);
    }
}

/* A page that two segments share, one writable and one executable, could not be both. */
static void check_wx(void)
{
    const struct elf_guest *guest = &region.guest;

    for (unsigned int i = 0; i < guest->nr_segments; i++) {
        const struct elf_segment *a = &guest->segments[i];

        if (a->is_writable && a->is_executable)
            boot_fail("guest: asks for W^X, but its segment at %#lx is writable and executable",
                      a->virtual_start);
        for (unsigned int j = 0; j < guest->nr_segments; j++) {
            const struct elf_segment *b = &guest->segments[j];

            if (i != j && (a->virtual_start & -PAGE_BYTES) < b->virtual_end &&
                b->virtual_start < ((a->virtual_end + PAGE_BYTES - 1) & -PAGE_BYTES) &&
                (a->is_writable != b->is_writable || a->is_executable != b->is_executable))
                boot_fail("guest: asks for W^X, but its segments at %#lx and %#lx share a page",
                          a->virtual_start, b->virtual_start);
        }
    }
}

static uint64_t table_entry(uint64_t table)
{
    return (region.machine + (region.tables_page + table) * PAGE_BYTES) | PTE_P | PTE_RW | PTE_US |
           PTE_A;
}

/* The tables in Xen's order: L4, L3s, L2s, L1s. */
static void write_tables(void)
{
    uint64_t start = region.guest.virtual_base, end = region_virtual(region.mapped_pages);
    uint64_t table = 0;

    __builtin_memset(region_at(region.tables_page), 0, region.nr_tables * PAGE_BYTES);
    for (unsigned int level = 4; level > 1; level--) {
        unsigned int shift = PAGE_SHIFT + 9 * (level - 1);
        uint64_t parents = level == 4 ? 1 : tables_of_level(level, start, end);
        uint64_t children = tables_of_level(level - 1, start, end);
        uint64_t first = start >> shift;
        uint64_t *entries = region_at(region.tables_page + table);

        /* Parents are consecutive pages, so their entries are one array. */
        for (uint64_t i = 0; i < children; i++)
            entries[(first & 511) + i] = table_entry(table + parents + i);
        table += parents;
    }

    uint64_t *entries = region_at(region.tables_page + table);

    write_l1_entries(entries + (start >> PAGE_SHIFT & 511));
}

static void write_start_info(const char *command_line, const struct boot_range *initrd)
{
    static const char magic[] = "xen-3.0-x86_64";
    struct start_info *info = region_at(region.start_info_page);

    _Static_assert(sizeof(*info) <= PAGE_BYTES, "start_info fits its page");
    _Static_assert(BOOT_COMMAND_LINE_BYTES <= MAX_GUEST_CMDLINE, "command line fits start_info");
    __builtin_memset(info, 0, PAGE_BYTES);
    __builtin_memcpy(info->magic, magic, sizeof(magic));
    info->nr_pages = domain.nr_pages;
    info->shared_info = virtual_to_machine(&shared);
    info->flags = SIF_PRIVILEGED | SIF_INITDOMAIN; /* it drives the devices */
    info->pt_base = region_virtual(region.tables_page);
    info->nr_pt_frames = region.nr_tables;
    info->mfn_list = region_virtual(region.p2m_page);
    if (initrd) {
        info->mod_start = region_virtual(region.initrd_page);
        info->mod_len = initrd->end - initrd->start;
        __builtin_memcpy(region_at(region.initrd_page), machine_to_virtual(initrd->start),
                         info->mod_len);
    }
    __builtin_memcpy(info->cmd_line, command_line, BOOT_COMMAND_LINE_BYTES);
}

static void prepare_vcpu(void)
{
    struct frame *frame = guest_frame();
    mfn_t l4 = mfn((region.machine >> PAGE_SHIFT) + region.tables_page);

    work.left = INT64_MAX; /* nobody waits yet */
    if (pagetable_pin(l4, 4) || pagetable_set_base(l4))
        boot_fail("guest: its first page tables are not valid"); /* W^X: shared pages */
    *frame = (struct frame){
        .rip = region.guest.entry,
        .cs = GUEST_CS,
        .rflags = RFLAGS_IF | 2,
        .rsp = region_virtual(region.end_page),
        .ss = GUEST_SS,
        .rsi = region_virtual(region.start_info_page),
    };
}

void domain_init(void)
{
    domain.shared_info = &shared.info;
    frame_table[virtual_to_frame(&shared).n] = FIXED_SHARED;
    this_cpu()->vcpu_info = &shared.info.vcpu_info[0];
    this_cpu()->hypercall_page = ~0ul;
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        shared.info.vcpu_info[i].evtchn_upcall_mask = 1;
}

void domain_build(const struct boot_range *guest, const char *command_line,
                  const struct boot_range *initrd, const struct free_list *memory)
{
    elf_read(guest, &region.guest);
    for (unsigned int i = 0; i < memory->nr; i++)
        domain.nr_pages += (memory->ranges[i].end - memory->ranges[i].start) >> PAGE_SHIFT;
    domain.features = region.guest.features & FEATURES_KNOWN;
    pagetable_enforce_wx = (domain.features & PARVUS_FEATURE_WX) != 0;
    if (!pagetable_enforce_wx)
        domain.features &= ~PARVUS_FEATURE_SEAL;
    if (pagetable_enforce_wx)
        check_wx();
    plan_region(initrd);

    const struct boot_range *home = &memory->ranges[0];

    region.machine = home->start;
    if (region.end_page > (home->end - home->start) >> PAGE_SHIFT)
        boot_fail("too little memory: the guest needs %lu KiB in one piece, there are %lu",
                  region.end_page * 4, (home->end - home->start) >> 10);
    load_guest();
    write_p2m(memory);
    write_tables();
    write_start_info(command_line, initrd);
    if (region.guest.hypercall_page != ~0ul)
        hypercall_page_fill(
            mfn((region.machine >> PAGE_SHIFT) +
                ((region.guest.hypercall_page - region.guest.virtual_base) >> PAGE_SHIFT)),
            region.guest.hypercall_page);
    prepare_vcpu();
}
