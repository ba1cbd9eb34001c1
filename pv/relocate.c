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
 * data are relocated (gABI, "Relative relocation table", DT_RELR), and once we run at the new place
 * the old entries go.
 *
 * Until the jump, code here runs where it was linked, with no address relocated: it uses none but
 * its own.
 */
#include "pv/shared.h"

#define ENTRIES 512u
#define L2_MOST 64u          /* entries of the L2 table that are moved; more stay where they are */
#define L3_CHOICES 256u      /* leaves 256 GiB above for heap and regions: kernel/vm.c */
#define L4_CHOICES 256u      /* the lower half */
#define LEVELS 3             /* 2, 3 and 4 */
#define RELR_BITMAP_WORDS 63 /* that an odd entry tells of */

extern char image_start[];
extern const uint64_t image_relr_start[], image_relr_end[]; /* kernel/guest.lds */

uintptr_t pv_image_slide;

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

static unsigned present_from(const uint64_t *table, unsigned index)
{
    unsigned count = 0;

    while (index + count < ENTRIES && (table[index + count] & PV_PTE_PRESENT))
        count++;
    return count;
}

/* By how many entries to move at each level; all addresses stay below those of the next level. */
static void choose(const struct start_info *si, unsigned shift[LEVELS])
{
    uint64_t random = entropy_early();
    uintptr_t from = (uintptr_t)image_start;
    pfn_t frame;
    unsigned first = index_of(from, 2);
    unsigned count = present_from(pv_boot_table((vaddr_t){from}, 2, &frame), first);
    unsigned lowest = count; /* old and new entries must not overlap */
    uint64_t end = first + count + wanted_entries(si);

    shift[2] = pick(&random, L4_CHOICES);
    shift[1] = pick(&random, L3_CHOICES);
    if (end + lowest >= ENTRIES) /* a large guest: it does without the same L2 */
        end = first + count;
    shift[0] = end + lowest < ENTRIES && count <= L2_MOST
                   ? lowest + pick(&random, ENTRIES - end - lowest + 1)
                   : 0;
}

static int update(struct mmu_update *updates, unsigned count, bool flush)
{
    struct mmuext_op all = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    struct multicall_entry calls[] = {
        {.op = __HYPERVISOR_mmu_update, .args = {(unsigned long)updates, count, 0, DOMID_SELF}},
        {.op = __HYPERVISOR_mmuext_op, .args = {(unsigned long)&all, 1, 0, DOMID_SELF}},
    };
    long error = hypervisor_multicall(calls, flush ? 2 : 1);

    for (int i = 0; i < 2 && !error; i++)
        error = (long)calls[i].result;
    return (int)error;
}

/* Collects the updates that hang what maps `from` at each level into entries `shift` further on
 * (or, with `take`, that take it out of them). */
static unsigned collect(struct mmu_update *updates, uintptr_t from, uintptr_t by,
                        const unsigned shift[LEVELS], bool take)
{
    unsigned count = 0;

    for (unsigned level = 2; level < 2 + LEVELS; level++) {
        pfn_t frame;
        const uint64_t *table = pv_boot_table((vaddr_t){from + by}, level, &frame);
        unsigned first = index_of(from, level), move = shift[level - 2];
        unsigned entries = level == 2 ? present_from(table, first + (take ? move : 0)) : 1;

        if (!move)
            continue;
        for (unsigned i = first; i < first + entries; i++) {
            updates[count++] = (struct mmu_update){
                .ptr = pv_mmu_slot(frame, take ? i : i + move).n | MMU_NORMAL_PT_UPDATE,
                .val = take ? 0 : table[i],
            };
        }
    }
    return count;
}

static void relocate_addresses(uintptr_t slide)
{
    uint64_t *where = NULL;

    for (const uint64_t *entry = image_relr_start; entry < image_relr_end; entry++) {
        if (!(*entry & 1)) {
            where = (uint64_t *)*entry;
            *where++ += slide;
            continue;
        }
        for (uint64_t bits = *entry >> 1; bits; bits &= bits - 1)
            where[__builtin_ctzll(bits)] += slide;
        where += RELR_BITMAP_WORDS;
    }
}

static unsigned shifts[LEVELS];

uintptr_t pv_relocate(struct start_info *si)
{
    struct mmu_update updates[L2_MOST + LEVELS];
    uintptr_t slide = 0;

    si->cmd_line[MAX_GUEST_CMDLINE - 1] = 0;
    if (has_word((const char *)si->cmd_line, "noaslr"))
        return 0;
    pv_memory_find_tables(si);
    choose(si, shifts);
    unsigned count = collect(updates, (uintptr_t)image_start, 0, shifts, false);
    if (update(updates, count, false)) {
        static const char refused[] = "parvus: the hypervisor refused to move the image\n";

        pv_console_write(refused, sizeof(refused) - 1);
        pv_shutdown(PV_SHUTDOWN_CRASH, 0);
    }
    for (unsigned level = 2; level < 2 + LEVELS; level++)
        slide += (uintptr_t)shifts[level - 2] << (PAGE_SHIFT + 9 * (level - 1));
    relocate_addresses(slide);
    si->mfn_list += slide;
    si->pt_base += slide;
    if (si->mod_len && !(si->flags & SIF_MOD_START_PFN))
        si->mod_start += slide;
    pv_image_slide = slide;
    return slide;
}

int pv_relocate_finish(const struct start_info *si)
{
    struct mmu_update updates[L2_MOST + LEVELS];

    if (!pv_image_slide)
        return 0;
    pv_memory_find_tables(si);
    unsigned count =
        collect(updates, (uintptr_t)image_start - pv_image_slide, pv_image_slide, shifts, true);
    return update(updates, count, true);
}
