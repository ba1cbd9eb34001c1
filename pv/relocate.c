/*
 * Address space layout randomization: moves the image, and all else that the hypervisor mapped at
 * boot, to a random address before anything else runs.
 *
 * Called by pv/entry.S and pv/start.c on the boot stack, in ring 3, events masked. Locks: none.
 *
 * Nothing is mapped anew: the bootstrap page tables are hung into other entries, at each level
 * (xen.h, mmu_update), which costs no frame. Their L1 tables go 2 MiB times a random number further
 * in their L2 table, that one goes elsewhere in the L3 table, and that into another entry of the
 * root: the address is a multiple of 2 MiB with some 24 random bits. Then addresses in the image's
 * data are relocated (gABI, "Relative relocation table", DT_RELR). Once we run at the new place the
 * old entries go, with the first updates that are made anyway (kernel/vm.c).
 *
 * Until the jump, code here runs where it was linked, with no address relocated: it uses none but
 * its own.
 */
#include "pv/shared.h"

#define ENTRIES 512u
#define L3_CHOICES 256u      /* leaves 256 GiB above for heap and regions: kernel/vm.c */
#define L4_CHOICES 256u      /* the lower half */
#define LEVELS 3             /* 2, 3 and 4 */
#define RELR_BITMAP_WORDS 63 /* that an odd entry tells of */
#define RELR_ALL_WORDS UINT64_MAX

extern char image_start[];
extern const uint64_t image_relr_start[], image_relr_end[]; /* kernel/guest.lds */

uintptr_t pv_image_slide;
uint16_t pv_random_rest;

/* Room above the image that heap, regions and their records take, if they can, in the same L2. */
static uint64_t wanted_entries(const struct start_info *si)
{
    return (5 * si->nr_pages + (128ul << 20) / PAGE_SIZE) / ENTRIES;
}

static bool has_word(const char *line, const char *word)
{
    while (*line) {
        const char *at = word;

        while (*line == ' ')
            line++;
        if (line[0] == '-' && line[1] == '-' && (line[2] == ' ' || !line[2]))
            return false; /* the rest is the application's */
        while (*line && *line == *at)
            line++, at++;
        if (!*at && (!*line || *line == ' '))
            return true;
        while (*line && *line != ' ')
            line++;
    }
    return false;
}

/* One of `choices` numbers; uses up 16 random bits. */
static unsigned pick(uint64_t *random, uint64_t choices)
{
    unsigned number = (unsigned)((*random & 0xffff) * choices >> 16);

    *random >>= 16;
    return number;
}

static unsigned index_of(uintptr_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1);
}

/* What maps the image at a level: entries first .. first + count - 1 of a bootstrap table. */
struct level {
    const uint64_t *table;
    pfn_t frame;
    unsigned first, count;
    unsigned shift; /* they are hung so many entries further on; 0: they stay */
};

/* Until pv_relocate_finish: where the entries were. */
static struct {
    maddr_t slot;
    unsigned count;
} former[LEVELS];

static unsigned present_from(const uint64_t *table, unsigned index)
{
    unsigned count = 0;

    while (index + count < ENTRIES && (table[index + count] & PV_PTE_PRESENT))
        count++;
    return count;
}

static void find_levels(const struct start_info *si, struct level levels[LEVELS])
{
    const uint64_t *table = (const uint64_t *)si->pt_base;
    pfn_t frame = {((uintptr_t)table - (uintptr_t)image_start) / PAGE_SIZE};

    for (unsigned i = LEVELS; i-- > 0;) {
        unsigned first = index_of((uintptr_t)image_start, i + 2);

        levels[i] = (struct level){.table = table, .frame = frame, .first = first, .count = 1};
        if (i)
            table = pv_boot_table_behind(table[first], &frame);
    }
    /* A large initrd takes more than the 1 GiB of one L2 table; all have the same L3 table. */
    for (unsigned i = 0; i < LEVELS - 1; i++)
        levels[i].count = present_from(levels[i].table, levels[i].first);
}

/* By how many entries to move at each level; all addresses stay below those of the next level. */
static void choose(const struct start_info *si, struct level levels[LEVELS])
{
    uint64_t random = entropy_early();
    unsigned lowest = levels[0].count; /* old and new entries must not overlap */
    uint64_t end = levels[0].first + levels[0].count + wanted_entries(si);

    levels[2].shift = pick(&random, L4_CHOICES);
    levels[1].shift = pick(&random, L3_CHOICES);
    if (levels[1].shift < levels[1].count)
        levels[1].shift = 0;
    if (end + lowest >= ENTRIES) /* a large guest: it does without the same L2 */
        end = levels[0].first + levels[0].count;
    if (end + lowest < ENTRIES)
        levels[0].shift = lowest + pick(&random, ENTRIES - end - lowest + 1);
    pv_random_rest = (uint16_t)random;
}

/* Hangs the tables into the new entries as well. */
static int hang(const struct level levels[LEVELS])
{
    for (unsigned i = 0; i < LEVELS; i++) {
        const struct level *l = &levels[i];
        maddr_t slot;

        if (!l->shift)
            continue;
        slot = pv_mmu_slot(l->frame, l->first);
        former[i].slot = slot;
        former[i].count = l->count;
        slot.n += l->shift * sizeof(uint64_t);
        for (unsigned n = 0; n < l->count; n++, slot.n += sizeof(uint64_t))
            pv_mmu_set(slot, l->table[l->first + n]);
    }
    return pv_mmu_flush();
}

/* False when there is none. */
static bool find_bit(uint64_t bits, uint64_t *number)
{
    bool is_none;

    asm("bsf %2, %0" : "=r"(*number), "=@ccz"(is_none) : "r"(bits));
    return !is_none;
}

/* The words that a bitmap tells of. newlib's malloc alone has some bitmaps that are full. */
static void relocate_words(uint64_t *where, uint64_t entry, uintptr_t slide)
{
    uint64_t number;

    if (entry == RELR_ALL_WORDS) {
#pragma GCC unroll 63
        for (unsigned i = 0; i < RELR_BITMAP_WORDS; i++)
            where[i] += slide;
        return;
    }
    for (uint64_t bits = entry >> 1; find_bit(bits, &number); bits ^= 1ul << number)
        where[number] += slide;
}

static void relocate_addresses(uintptr_t slide)
{
    uint64_t *where = NULL;

    for (const uint64_t *entry = image_relr_start; entry < image_relr_end; entry++) {
        if (*entry & 1) {
            relocate_words(where, *entry, slide);
            where += RELR_BITMAP_WORDS;
        } else {
            where = (uint64_t *)*entry;
            *where++ += slide;
        }
    }
}

uintptr_t pv_relocate(struct start_info *si)
{
    struct level levels[LEVELS];
    uintptr_t slide = 0;

    si->cmd_line[MAX_GUEST_CMDLINE - 1] = 0;
    if (has_word((const char *)si->cmd_line, "noaslr"))
        return 0;
    pv_memory_find_tables(si);
    find_levels(si, levels);
    choose(si, levels);
    if (hang(levels)) {
        static const char refused[] = "parvus: the hypervisor refused to move the image\n";

        pv_console_write(refused, sizeof(refused) - 1);
        pv_shutdown(PV_SHUTDOWN_CRASH, 0);
    }
    for (unsigned i = 0; i < LEVELS; i++)
        slide += (uintptr_t)levels[i].shift << (PAGE_SHIFT + 9 * (i + 1));
    relocate_addresses(slide);
    si->mfn_list += slide;
    si->pt_base += slide;
    if (si->mod_len && !(si->flags & SIF_MOD_START_PFN))
        si->mod_start += slide;
    pv_image_slide = slide;
    return slide;
}

void pv_relocate_finish(void)
{
    for (unsigned i = 0; i < LEVELS; i++)
        for (unsigned n = 0; n < former[i].count; n++)
            pv_mmu_set((maddr_t){former[i].slot.n + n * sizeof(uint64_t)}, 0);
    if (pv_image_slide)
        pv_mmu_invalidate_all();
}
