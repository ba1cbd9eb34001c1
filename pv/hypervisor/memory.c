/* See memory.h. Runs at boot, on the boot CPU. */
#include "pv/hypervisor/memory.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/print.h"

#define PTE_A 0x20
#define PTE_D 0x40
#define PTE_PCD 0x10
#define PTE_G 0x100
#define PTE_NX (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul
#define DATA_PAGE (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define LARGE_PAGE 0x200000ul
#define DIRECT_MAP_LIMIT (511ul << 30) /* one L3 table, but for the window */
#define WINDOW_INDEX 511ul             /* its L3 entry */
#define EARLY_LIMIT (4ul << 30)        /* what the boot code's L2 tables reach */

/* linker script */
extern char image_start[], image_text[], image_rodata[], image_data[], image_bss[], image_end[];
extern char guest_start[], guest_end[];
/* entry.S of boot/ */
extern uint64_t boot_l3[512], boot_l2[4 * 512];
/* entry.S */
extern char boot_cpu_fault_guard[], boot_cpu_guard[];

uint32_t *frame_table;
uint64_t frame_limit;
int tlb_is_stale;

/* Where memory_init() takes memory from, once it is known. */
static struct free_list *free_memory;

static uint64_t *l2_of(uint64_t addr)
{
    uint64_t index = addr >> 30;

    if (!(boot_l3[index] & PTE_P)) {
        void *table = boot_l2 + 512 * index;

        if (addr >= EARLY_LIMIT)
            table = __builtin_memset(memory_take(PAGE_BYTES), 0, PAGE_BYTES);
        boot_l3[index] = virtual_to_machine(table) | PTE_P | PTE_RW | PTE_A;
    }
    return (uint64_t *)machine_to_virtual(boot_l3[index] & PTE_ADDRESS);
}

void memory_map(uint64_t start, uint64_t end, int uncached)
{
    for (uint64_t addr = start & -LARGE_PAGE; addr < end; addr += LARGE_PAGE) {
        uint64_t *entry = &l2_of(addr)[addr >> 21 & 511];

        if (!(*entry & PTE_P))
            *entry = addr | DATA_PAGE | PTE_PS | (uncached ? PTE_PCD : 0);
    }
}

uint64_t memory_address_limit(void)
{
    static uint64_t limit;

    if (!limit) {
        uint32_t r[4];

        cpu_cpuid(0x80000008, 0, r); /* SDM vol. 2, CPUID: physical address bits */
        limit = 1ul << (r[0] & 0xff);
    }
    return limit;
}

int memory_is_device(uint64_t start, uint64_t bytes)
{
    uint64_t last = start + bytes - 1;

    if (last < start || last >= memory_address_limit())
        return 0;
    for (uint64_t n = start >> PAGE_SHIFT; n <= last >> PAGE_SHIFT; n++) {
        if (memory_is_interrupt_controller(n << PAGE_SHIFT))
            return 0;
        if (n < frame_limit && frame_table[n] != FIXED_IO)
            return 0;
    }
    return 1;
}

void *memory_window(uint64_t addr)
{
    static uint64_t window_l2[512] __attribute__((aligned(4096)));
    char *window = machine_to_virtual(WINDOW_INDEX << 30);

    boot_l3[WINDOW_INDEX] = virtual_to_machine(window_l2) | PTE_P | PTE_RW | PTE_A;
    window_l2[0] = (addr & -LARGE_PAGE) | DATA_PAGE | PTE_PS | PTE_PCD;
    cpu_invlpg((uint64_t)window);
    return window + addr % LARGE_PAGE;
}

const void *boot_map(uint64_t addr, uint64_t bytes)
{
    if (addr + bytes < addr || addr + bytes > EARLY_LIMIT)
        boot_fail("boot information at %#lx (%lu bytes) is not below 4 GiB", addr, bytes);
    memory_map(addr, addr + bytes, 0);
    return machine_to_virtual(addr);
}

static void add(struct free_list *free, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (free->nr == MAX_FREE_RANGES)
        boot_fail("memory is in more than %d pieces", MAX_FREE_RANGES);
    free->ranges[free->nr++] = (struct boot_range){start, end};
}

static void remove_range(struct free_list *free, uint64_t start, uint64_t end)
{
    start &= -PAGE_BYTES;
    end = (end + PAGE_BYTES - 1) & -PAGE_BYTES;
    for (unsigned int i = 0; i < free->nr; i++) {
        struct boot_range *range = &free->ranges[i];
        uint64_t old_end = range->end;

        if (end <= range->start || range->end <= start)
            continue;
        range->end = start > range->start ? start : range->start;
        add(free, end, old_end);
    }
}

static int contains(const struct free_list *free, const struct boot_range *part)
{
    for (unsigned int i = 0; i < free->nr; i++)
        if (free->ranges[i].start <= part->start && part->end <= free->ranges[i].end)
            return 1;
    return 0;
}

/* The largest range that ends at or below `limit`; NULL: there is none. */
static struct boot_range *largest(struct free_list *free, uint64_t limit)
{
    struct boot_range *best = NULL;

    for (unsigned int i = 0; i < free->nr; i++) {
        struct boot_range *range = &free->ranges[i];

        if (range->end <= limit && (!best || range->end - range->start > best->end - best->start))
            best = range;
    }
    return best;
}

void *memory_take(uint64_t bytes)
{
    /* Where the map's own tables need no memory, which would have to be taken in turn. */
    struct boot_range *from = largest(free_memory, EARLY_LIMIT);
    uint64_t pages = PAGES(bytes);

    if (!from || from->end - from->start < pages * PAGE_BYTES)
        boot_fail("too little memory: the hypervisor needs %lu KiB more", pages * 4);
    from->end -= pages * PAGE_BYTES;
    memory_map(from->end, from->end + pages * PAGE_BYTES, 0);

    void *memory = machine_to_virtual(from->end);

    if (frame_table)
        for (uint64_t i = 0; i < pages; i++)
            frame_table[virtual_to_frame(memory).n + i] = FIXED_HYPERVISOR;
    return memory;
}

static void mark(uint64_t start, uint64_t end, uint32_t what)
{
    for (uint64_t n = start >> PAGE_SHIFT; n < PAGES(end) && n < frame_limit; n++)
        frame_table[n] = what;
}

void memory_init(const struct boot_info *info, struct free_list *free)
{
    uint64_t limit = 0;

    free_memory = free;
    for (unsigned int i = 0; i < info->nr_ram; i++) {
        struct boot_range ram = info->ram[i];

        if (ram.start >= DIRECT_MAP_LIMIT)
            continue;
        if (ram.end > DIRECT_MAP_LIMIT)
            ram.end = DIRECT_MAP_LIMIT;
        limit = ram.end > limit ? ram.end : limit;
        if (ram.start < EARLY_LIMIT && ram.end > EARLY_LIMIT) {
            add(free, ram.start, EARLY_LIMIT);
            add(free, EARLY_LIMIT, ram.end);
        } else {
            add(free, ram.start, ram.end);
        }
    }
    const struct boot_range image = {virtual_to_machine(image_text) - PAGE_BYTES,
                                     virtual_to_machine(image_end)};

    if (!contains(free, &image))
        boot_fail("the image (%#lx-%#lx) is not in RAM", image.start, image.end);
    remove_range(free, 0, PAGE_BYTES); /* a null machine address means "none" to many */
    remove_range(free, image.start, image.end);
    for (unsigned int i = 0; i < info->nr_modules; i++) {
        const struct boot_range *module = &info->modules[i].bytes;

        if (!contains(free, module))
            boot_fail("module %u (%#lx-%#lx) is not in free RAM", i, module->start, module->end);
        remove_range(free, module->start, module->end);
    }
    if (free->nr == 0)
        boot_fail("too little memory: nothing is left beside the image");

    /* Frames start out as the domain's; then all that is no RAM or in use is marked. */
    uint64_t frames = limit >> PAGE_SHIFT;
    uint32_t *table = memory_take(frames * sizeof(*frame_table));

    uint64_t pattern = FRAME_OF_TYPE(FRAME_WRITABLE) | (uint64_t)FRAME_OF_TYPE(FRAME_WRITABLE)
                                                           << 32;
    uint64_t words = PAGES(frames * sizeof(*table)) * PAGE_BYTES / 8;
    uint32_t *to = table;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    frame_limit = frames;
    frame_table = table;
    mark(virtual_to_machine(table), virtual_to_machine(table) + frames * sizeof(*table),
         FIXED_HYPERVISOR);
    for (uint64_t at = 0; at < limit;) {
        uint64_t next = limit;
        uint64_t ram_end = 0;

        for (unsigned int i = 0; i < info->nr_ram; i++) {
            if (info->ram[i].start <= at && at < info->ram[i].end)
                ram_end = info->ram[i].end;
            else if (info->ram[i].start > at && info->ram[i].start < next)
                next = info->ram[i].start;
        }
        if (!ram_end)
            mark(at, next, FIXED_IO);
        at = ram_end ? ram_end : next;
    }
    mark(0, PAGE_BYTES, FIXED_IO);
    mark(virtual_to_machine(image_text) - PAGE_BYTES, virtual_to_machine(guest_start),
         FIXED_HYPERVISOR);
    mark(virtual_to_machine(guest_end), virtual_to_machine(image_end), FIXED_HYPERVISOR);

    for (unsigned int i = 0; i < info->nr_ram; i++)
        if (info->ram[i].start < limit)
            memory_map(info->ram[i].start, info->ram[i].end < limit ? info->ram[i].end : limit, 0);

    /* Largest first: the domain's boot region begins in it. */
    struct boot_range *best = largest(free, DIRECT_MAP_LIMIT), first = free->ranges[0];

    free->ranges[0] = *best;
    *best = first;
}

/* The L1 entry for an address of the boot code's map, which is in pieces of 2 MiB at first. */
static uint64_t *page_entry(uint64_t addr)
{
    uint64_t *l2 = &boot_l2[addr >> 21];

    if (*l2 & PTE_PS) {
        uint64_t *table = memory_take(PAGE_BYTES);

        /* As it was: this may be what runs here. */
        for (unsigned int i = 0; i < 512; i++)
            table[i] = (*l2 & ~(uint64_t)PTE_PS) + i * PAGE_BYTES;
        *l2 = virtual_to_machine(table) | PTE_P | PTE_RW | PTE_A;
    }
    return (uint64_t *)machine_to_virtual(*l2 & PTE_ADDRESS) + (addr >> PAGE_SHIFT & 511);
}

/* W^X for the 2 MiB that hold the image; everything else is mapped as data already. */
void memory_protect(void)
{
    uint64_t base = virtual_to_machine(image_text) & -LARGE_PAGE;
    uint64_t text = virtual_to_machine(image_text), rodata = virtual_to_machine(image_rodata);
    uint64_t data = virtual_to_machine(image_data);
    uint64_t *entries = page_entry(base);

    for (unsigned int i = 0; i < 512; i++) {
        uint64_t addr = base + i * PAGE_BYTES;
        uint64_t flags = DATA_PAGE;

        if (addr >= text && addr < rodata)
            flags = PTE_P | PTE_A;
        else if (addr >= rodata && addr < data)
            flags = PTE_P | PTE_A | PTE_NX;
        entries[i] = addr | flags;
    }
    for (uint64_t addr = 0; addr < BOOT_MAPPED_BYTES; addr += LARGE_PAGE)
        if (addr != base)
            boot_l2[addr >> 21] |= PTE_NX;
    *page_entry(virtual_to_machine(boot_cpu_guard)) = 0;
    *page_entry(virtual_to_machine(boot_cpu_fault_guard)) = 0;
    /* Text and read-only data are within the first 2 MiB page; a large guest may go on behind. */
    if (rodata > base + LARGE_PAGE || virtual_to_machine(image_end) < text)
        boot_fail("the hypervisor's image is larger than %lu bytes", LARGE_PAGE);
    boot_l4[0] = 0;
    cpu_write_cr3(cpu_read_cr3());
}

/* Pages that are shared with something else stay with the hypervisor. */
static void add_whole_pages(struct free_list *free, uint64_t start, uint64_t end)
{
    if (start % PAGE_BYTES)
        mark(start, start, FIXED_HYPERVISOR);
    if (end % PAGE_BYTES)
        mark(end, end, FIXED_HYPERVISOR);
    add(free, (start + PAGE_BYTES - 1) & -PAGE_BYTES, end & -PAGE_BYTES);
}

void memory_reclaim(const struct boot_info *info, struct free_list *free)
{
    add_whole_pages(free, virtual_to_machine(guest_start), virtual_to_machine(guest_end));
    for (unsigned int i = 0; i < info->nr_modules; i++)
        add_whole_pages(free, info->modules[i].bytes.start, info->modules[i].bytes.end);
}
