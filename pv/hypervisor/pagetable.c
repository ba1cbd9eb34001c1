/* See pagetable.h. */
#include "pv/abi.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/guest_memory.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/work.h"

/* Bits that an entry above level 1 must not have: those of L1_REFUSED, large pages, caching. */
#define UPPER_REFUSED (0x7ff0000000000000ul | 0x198)

int pagetable_enforce_wx;

/* pagetable_seal() has succeeded. */
static int is_sealed;

/* Frames that have no word in frame_table are device memory, if the CPU can address them. */
static int get_io(uint64_t entry)
{
    if ((entry & PTE_ADDRESS) >= memory_address_limit())
        return -EPERM; /* as Xen: what is no memory is not the domain's */
    return entry & PTE_NX || !pagetable_enforce_wx ? 0 : -EINVAL;
}

static int get_fixed(uint64_t entry, uint32_t word)
{
    switch (word) {
    case FIXED_IO:
        return memory_is_interrupt_controller(entry & PTE_ADDRESS) ? -EPERM : get_io(entry);
    case FIXED_SHARED:
        return entry & PTE_NX || !pagetable_enforce_wx ? 0 : -EINVAL;
    default:
        return -EPERM;
    }
}

/* The type that an L1 entry needs its frame to have; FRAME_NONE: any. */
static inline enum frame_type type_needed(uint64_t entry)
{
    if (entry & PTE_RW)
        return FRAME_WRITABLE;
    if (!(entry & PTE_NX) && pagetable_enforce_wx)
        return FRAME_EXECUTABLE;
    return FRAME_NONE;
}

/* For an L1 entry whose frame is not the domain's memory. */
static int get_outside(uint64_t entry)
{
    mfn_t frame = mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);

    if (frame.n < frame_limit)
        return get_fixed(entry, frame_table[frame.n]);
    return memory_is_interrupt_controller(entry & PTE_ADDRESS) ? -EPERM : get_io(entry);
}

/* Whether a present L1 entry maps a sealed frame. Page tables that lead to one may be looked at. */
static int maps_sealed(uint64_t entry)
{
    mfn_t frame = mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);

    return frame.n < frame_limit && (frame_table[frame.n] & FRAME_SEALED) &&
           frame_type(frame) == FRAME_EXECUTABLE;
}

/* Xen has an error of its own for a page table that is to be mapped writable. */
__attribute__((cold)) static int error_of_use(mfn_t frame, enum frame_type type, int error)
{
    return type == FRAME_WRITABLE && frame_type(frame) >= FRAME_L1 ? -EBUSY : error;
}

static inline int get_use(mfn_t frame, enum frame_type type)
{
    int error = frame_get(frame, type);

    return error ? error_of_use(frame, type, error) : 0;
}

static int get_l1_entry_other(uint64_t entry)
{
    mfn_t frame = mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);
    enum frame_type type = type_needed(entry);

    if (entry & L1_REFUSED)
        return -EINVAL;
    if (type == FRAME_WRITABLE && pagetable_enforce_wx && !(entry & PTE_NX))
        return -EINVAL;
    if (is_sealed && (!(entry & PTE_NX) || maps_sealed(entry)))
        return -EPERM;
    if (frame.n >= frame_limit || frame_table[frame.n] >= FRAME_OF_TYPE(FRAME_FIXED))
        return get_outside(entry);
    return type == FRAME_NONE ? 0 : get_use(frame, type);
}

/* Check a present L1 entry and take the reference that it needs; first the commonest case. */
static inline int get_l1_entry(uint64_t entry)
{
    const uint64_t data = PTE_P | PTE_RW | PTE_NX;
    mfn_t frame = mfn(entry << 12 >> 24);

    if ((entry & (L1_REFUSED | data)) == data && frame.n < frame_limit)
        return frame_table[frame.n] < FRAME_OF_TYPE(FRAME_FIXED) ? get_use(frame, FRAME_WRITABLE)
                                                                 : get_outside(entry);
    return get_l1_entry_other(entry);
}

/* Add `uses` (one, or less one) to those of the frame of an L1 entry that has one. */
static inline void count_l1_entry(uint64_t entry, uint32_t uses)
{
    mfn_t frame = mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);

    if (type_needed(entry) != FRAME_NONE && frame.n < frame_limit &&
        frame_table[frame.n] < FRAME_OF_TYPE(FRAME_FIXED))
        frame_table[frame.n] += uses;
}

static inline void put_l1_entry(uint64_t entry)
{
    tlb_is_stale = 1;
    count_l1_entry(entry, -1u);
}

#define HYPERVISOR_SLOTS 16
_Static_assert(HYPERVISOR_FIRST_SLOT % HYPERVISOR_SLOTS == 0 &&
                   HYPERVISOR_LAST_SLOT == HYPERVISOR_FIRST_SLOT + HYPERVISOR_SLOTS - 1,
               "one comparison finds them");

static inline int is_hypervisor_slot(unsigned int level, unsigned int slot)
{
    return level == 4 && slot / HYPERVISOR_SLOTS == HYPERVISOR_FIRST_SLOT / HYPERVISOR_SLOTS;
}

static mfn_t table_of(uint64_t entry)
{
    return mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);
}

static unsigned int level_of(mfn_t table)
{
    return frame_type(table) - FRAME_L1 + 1;
}

static void put_l1_entries(mfn_t table, unsigned int end)
{
    const uint64_t *entries = frame_to_virtual(table);

    for (unsigned int i = 0; i < end; i++)
        if (entries[i] & PTE_P)
            put_l1_entry(entries[i]);
}

/* Check all entries of an L1 table and take their references; after an error none is held. */
static int get_l1_entries(mfn_t table)
{
    uint64_t *entries = frame_to_virtual(table);

    work.left -= WORK_TABLE;
    for (uint64_t *entry = entries; entry != entries + 512; entry++) {
        if (!(*entry & PTE_P))
            continue;

        int error = get_l1_entry(*entry);

        if (error) {
            put_l1_entries(table, (unsigned int)(entry - entries));
            return error;
        }
        *entry |= PTE_US; /* guest kernel and application both run in ring 3 */
    }
    return 0;
}

/*
 * The way through a tree, from its root down to the table at work; `entries` of each have their
 * references. Checking counts up and releasing down, so to give up a check is to release the way.
 * The tables on it have the greatest count there is, which frame_get() refuses.
 */
struct way {
    unsigned int depth;
    struct {
        mfn_t table;
        unsigned int entries;
    } at[4];
};

static struct way checking, releasing;

static void go_down(struct way *way, mfn_t table, unsigned int entries)
{
    frame_table[table.n] |= FRAME_COUNT;
    way->at[way->depth].table = table;
    way->at[way->depth++].entries = entries;
}

/* All references are gone: a plain frame again. */
static void end_table(mfn_t table)
{
    /* The TLB may know it as a table: frame_retype() must see a type that it was. */
    tlb_flush();
    frame_table[table.n] = FRAME_OF_TYPE(FRAME_WRITABLE);
}

/* One reference less. Nonzero: it was the last one, of a table whose release has only begun. */
static int put_table(mfn_t table)
{
    if ((frame_table[table.n] & FRAME_COUNT) != 1) {
        frame_put(table);
        return 0;
    }
    if (frame_type(table) != FRAME_L1) {
        go_down(&releasing, table, 512);
        return 1;
    }
    work.left -= WORK_TABLE;
    put_l1_entries(table, 512);
    end_table(table);
    return 0;
}

/* Release the entries that the table at work still has, or those before one that is a table. */
static void release_entries(mfn_t table, unsigned int *left)
{
    const uint64_t *entries = frame_to_virtual(table);
    unsigned int level = level_of(table);

    while (*left && work.left >= 0) {
        unsigned int i = --*left;

        if (!(entries[i] & PTE_P) || is_hypervisor_slot(level, i))
            continue;
        tlb_is_stale = 1; /* the CPU caches upper levels, too (SDM vol. 3A, 4.10.3) */
        if (put_table(table_of(entries[i])))
            return;
    }
    if (*left)
        return;
    work.left -= WORK_TABLE;
    end_table(table);
    releasing.depth--;
}

int pagetable_release(void)
{
    while (releasing.depth && work.left >= 0) {
        unsigned int last = releasing.depth - 1;

        release_entries(releasing.at[last].table, &releasing.at[last].entries);
    }
    work.mmu_slice = releasing.depth ? -1 : WORK_SLICE;
    return releasing.depth != 0;
}

int pagetable_is_releasing(void)
{
    return releasing.depth != 0;
}

static void put_tree(mfn_t root)
{
    if (put_table(root))
        pagetable_release();
}

static void give_up_check(void)
{
    releasing = checking;
    checking.depth = 0;
    pagetable_release();
}

/*
 * For the sake of an operation, which begins anew: what it has looked at may have been released, be
 * it the table that it writes to.
 */
static int give_up_and_restart(void)
{
    give_up_check();
    return -ERESTART;
}

static int is_being_checked(mfn_t table)
{
    for (unsigned int i = 0; i < checking.depth; i++)
        if (checking.at[i].table.n == table.n)
            return 1;
    return 0;
}

#define BEGUN 1

/* One more reference to a table of `level`. BEGUN: it is none yet, and checking[] leads to it. */
static int get_table(mfn_t frame, unsigned int level)
{
    enum frame_type type = FRAME_L1 + level - 1;

    if (frame.n >= frame_limit)
        return -EINVAL;

    enum frame_type old = frame_type(frame);
    int error = frame_get(frame, type);

    /* Its entries are checked while it already has its type: one that maps it writable fails. */
    if (error || old == type)
        return error;
    if (level > 1) {
        go_down(&checking, frame, 0);
        return BEGUN;
    }
    error = get_l1_entries(frame);
    if (error)
        frame_table[frame.n] = FRAME_OF_TYPE(FRAME_WRITABLE);
    return error;
}

/* Check the entries of the table at work; BEGUN: up to one that is a table to be checked first. */
static int check_entries(mfn_t table, unsigned int *done)
{
    uint64_t *entries = frame_to_virtual(table);
    unsigned int level = level_of(table);

    for (; *done < 512; ++*done) {
        uint64_t entry = entries[*done];

        if (!(entry & PTE_P) || is_hypervisor_slot(level, *done))
            continue;
        if (work.left < 0)
            return -ERESTART;

        int error = entry & UPPER_REFUSED ? -EINVAL : get_table(table_of(entry), level - 1);

        if (error)
            return error;
        entries[*done] |= PTE_US;
    }
    if (level == 4)
        for (unsigned int i = HYPERVISOR_FIRST_SLOT; i <= HYPERVISOR_LAST_SLOT; i++)
            entries[i] = boot_l4[i];
    return 0;
}

static int check(void)
{
    while (checking.depth) {
        unsigned int last = checking.depth - 1;
        mfn_t table = checking.at[last].table;
        int error = check_entries(table, &checking.at[last].entries);

        if (error == BEGUN)
            continue;
        if (error) {
            if (error != -ERESTART)
                give_up_check();
            return error;
        }
        /* The one use is that of the entry, which is done with it; or of who asked for the tree. */
        frame_table[table.n] = (frame_table[table.n] & ~FRAME_COUNT) | 1;
        work.left -= WORK_TABLE;
        if (--checking.depth) {
            uint64_t *entries = frame_to_virtual(checking.at[last - 1].table);

            entries[checking.at[last - 1].entries++] |= PTE_US;
        }
    }
    return 0;
}

/*
 * One more reference to the table of `level` (1..4) in `frame`. 0, -EINVAL (an entry is not
 * allowed, or the frame is in use as something else), -EPERM (the hypervisor's), -ERESTART.
 */
static int get_tree(mfn_t frame, unsigned int level)
{
    enum frame_type type = FRAME_L1 + level - 1;

    if (frame.n >= frame_limit)
        return -EINVAL;
    if (checking.depth) {
        if (checking.at[0].table.n == frame.n && frame_type(frame) == type)
            return check();
        if (is_being_checked(frame) || (level > 1 && frame_type(frame) != type))
            return give_up_and_restart();
    }

    int error = get_table(frame, level);

    return error == BEGUN ? check() : error;
}

int pagetable_pin(mfn_t frame, unsigned int level)
{
    if (frame.n >= frame_limit)
        return -EINVAL;
    if (frame_table[frame.n] & FRAME_PINNED && frame_type(frame) != FRAME_FIXED)
        return -EINVAL;

    int error = get_tree(frame, level);

    if (!error)
        frame_table[frame.n] |= FRAME_PINNED;
    return error;
}

int pagetable_unpin(mfn_t frame)
{
    if (frame.n >= frame_limit || frame_type(frame) == FRAME_FIXED ||
        !(frame_table[frame.n] & FRAME_PINNED))
        return -EINVAL;
    frame_table[frame.n] &= ~FRAME_PINNED;
    put_tree(frame);
    return 0;
}

/*
 * The old entry goes first: the same frame may come back with other rights. (Only this CPU runs on
 * these tables, so nobody sees the gap.)
 */
__attribute__((noinline)) static int set_l1_entry(uint64_t *slot, uint64_t entry)
{
    uint64_t old = *slot;

    if (is_sealed && (old & PTE_P) && maps_sealed(old))
        return -EPERM;
    if (old & PTE_P) {
        *slot = 0;
        put_l1_entry(old);
    }
    if (entry & PTE_P) {
        int error = get_l1_entry(entry);

        if (error) {
            /* Nothing has changed the old frame's type: it is as if it had not gone. */
            if (old & PTE_P)
                count_l1_entry(old, 1);
            *slot = old;
            return error;
        }
        entry |= PTE_US;
    }
    *slot = entry;
    return 0;
}

/* A plain write to a frame of the domain: allowed where a writable mapping would be. */
__attribute__((noinline)) static int set_word(mfn_t frame, uint64_t *slot, uint64_t value)
{
    int error = frame_get(frame, FRAME_WRITABLE);

    if (error)
        return error;
    *slot = value;
    frame_table[frame.n]--;
    return 0;
}

__attribute__((noinline)) static int set_upper_entry(unsigned int level, uint64_t *slot,
                                                     uint64_t entry)
{
    uint64_t old = *slot;

    if (__builtin_expect(checking.depth, 0) && is_being_checked(virtual_to_frame(slot)))
        return give_up_and_restart();
    if (is_hypervisor_slot(level, (uint64_t)slot % PAGE_BYTES / 8))
        return -EINVAL;
    if (is_sealed && (old & PTE_P) &&
        (frame_table[(old & PTE_ADDRESS) >> PAGE_SHIFT] & FRAME_SEALED))
        return -EPERM;
    if (entry & PTE_P) {
        mfn_t below = table_of(entry);
        enum frame_type type = FRAME_L1 + level - 2;
        int error;

        if (entry & UPPER_REFUSED)
            return -EINVAL;
        if (below.n < frame_limit && frame_type(below) == type && !checking.depth)
            error = frame_get(below, type); /* a table already, as nearly always */
        else
            error = get_tree(below, level - 1);
        if (error)
            return error;
        entry |= is_sealed ? PTE_US | PTE_NX : PTE_US;
    }
    *slot = entry;
    if (old & PTE_P) {
        mfn_t below = table_of(old);

        if (__builtin_expect((frame_table[below.n] & FRAME_COUNT) == 1, 0)) {
            tlb_is_stale = 1;
            put_tree(below);
        } else {
            frame_put(below);
        }
    }
    return 0;
}

int pagetable_set(uint64_t addr, uint64_t entry, int keep_ad)
{
    mfn_t frame = mfn(addr >> PAGE_SHIFT);
    uint64_t *slot = machine_to_virtual(addr);

    if (frame.n >= frame_limit)
        return -EINVAL;

    enum frame_type type = frame_type(frame);

    if (keep_ad && (entry & PTE_P) && type >= FRAME_L1 && type <= FRAME_L4)
        entry |= *slot & (PTE_A | PTE_D);
    switch (type) {
    case FRAME_L1: {
        struct l1_checks checks = l1_checks();

        return l1_set_data(slot, entry, &checks) ? 0 : set_l1_entry(slot, entry);
    }
    case FRAME_L2:
    case FRAME_L3:
    case FRAME_L4:
        return set_upper_entry(type - FRAME_L1 + 1, slot, entry);
    case FRAME_FIXED:
        return -EPERM;
    default:
        return set_word(frame, slot, entry);
    }
}

/* The entry of `level` for an address; NULL where the levels above have none. */
static uint64_t *find_entry(uint64_t virtual, unsigned int level)
{
    uint64_t table = cpu_read_cr3() & PTE_ADDRESS;

    for (unsigned int at = 4;; at--) {
        unsigned int index = virtual >> (PAGE_SHIFT + 9 * (at - 1)) & 511;
        uint64_t *entry = (uint64_t *)machine_to_virtual(table) + index;

        if (at == level)
            return entry;
        if (!(*entry & PTE_P))
            return NULL;
        table = *entry & PTE_ADDRESS;
    }
}

uint64_t pagetable_find_l1(uint64_t virtual)
{
    uint64_t *entry = guest_address_is_ok(virtual) ? find_entry(virtual, 1) : NULL;

    return entry ? virtual_to_machine(entry) : 0;
}

mfn_t pagetable_frame_at(uint64_t virtual)
{
    const uint64_t *entry = guest_address_is_ok(virtual) ? find_entry(virtual, 1) : NULL;

    return mfn(entry && (*entry & PTE_P) ? (*entry & PTE_ADDRESS) >> PAGE_SHIFT : 0);
}

int pagetable_set_base(mfn_t frame)
{
    mfn_t old = mfn(cpu_read_cr3() >> PAGE_SHIFT);

    if (is_sealed && frame.n != old.n)
        return -EPERM;

    int error = get_tree(frame, 4);

    if (error)
        return error;
    cpu_write_cr3(frame.n << PAGE_SHIFT);
    if (frame_type(old) == FRAME_L4)
        put_tree(old);
    return 0;
}

#define TABLE_BYTES (512 * PAGE_BYTES) /* mapped by one L1 table */

static uint64_t next_table(uint64_t virtual, uint64_t end)
{
    uint64_t next = (virtual & -TABLE_BYTES) + TABLE_BYTES;

    return next < end ? next : end;
}

/* Gives a frame the mark and the use that it stands for. Most are of code that is mapped. */
static inline int seal_frame(uint64_t entry)
{
    mfn_t frame = mfn(entry << 12 >> 24);

    if (!(entry & PTE_P) || frame.n >= frame_limit)
        return -EINVAL;

    uint32_t *word = &frame_table[frame.n];

    if (__builtin_expect(*word - FRAME_OF_TYPE(FRAME_EXECUTABLE) < FRAME_COUNT, 1)) {
        *word += FRAME_SEALED + 1;
        return 0;
    }
    if (frame_get(frame, FRAME_EXECUTABLE))
        return -EINVAL;
    *word |= FRAME_SEALED;
    return 0;
}

static void unseal_frame(uint64_t entry)
{
    mfn_t frame = mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT);

    frame_table[frame.n] &= ~FRAME_SEALED;
    frame_put(frame);
}

/* All that is mapped from start to end; the same frame may be so twice. */
static int seal_frames(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) {
        const uint64_t *entry = find_entry(at, 1);
        uint64_t next = next_table(at, end);

        for (; entry && at < next && !seal_frame(*entry); entry++)
            at += PAGE_BYTES;
        if (at == next)
            continue;
        while (at > start) {
            at -= PAGE_BYTES;
            unseal_frame(*find_entry(at, 1));
        }
        return -EINVAL;
    }
    return 0;
}

/*
 * The tables that lead to an address. The mark needs no use of its own: as the entry that leads to
 * the table cannot be changed, its use never goes.
 */
static void seal_tables(uint64_t virtual)
{
    uint64_t entry = cpu_read_cr3();

    for (unsigned int level = 4; level > 1; level--) {
        const uint64_t *table = machine_to_virtual(entry & PTE_ADDRESS);

        entry = table[virtual >> (PAGE_SHIFT + 9 * (level - 1)) & 511];
        frame_table[table_of(entry).n] |= FRAME_SEALED;
    }
}

int pagetable_seal(uint64_t start, uint64_t end)
{
    if (is_sealed)
        return -EPERM;
    if (((start | end) & (PAGE_BYTES - 1)) || start >= end ||
        (end - start) >> PAGE_SHIFT > PARVUS_SEAL_MAX_PAGES || !guest_address_is_ok(start) ||
        !guest_address_is_ok(end - 1))
        return -EINVAL;

    work.left -= (int64_t)((end - start) >> PAGE_SHIFT);

    int error = seal_frames(start, end);

    if (error)
        return error;
    for (uint64_t at = start; at < end; at = next_table(at, end))
        seal_tables(at);
    is_sealed = 1;
    return 0;
}
