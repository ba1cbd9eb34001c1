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
        return -EINVAL;
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
    return type == FRAME_NONE ? 0 : frame_get(frame, type);
}

/* Check a present L1 entry and take the reference that it needs; first the commonest case. */
static inline int get_l1_entry(uint64_t entry)
{
    const uint64_t data = PTE_P | PTE_RW | PTE_NX;
    mfn_t frame = mfn(entry << 12 >> 24);

    if ((entry & (L1_REFUSED | data)) == data && frame.n < frame_limit)
        return frame_table[frame.n] < FRAME_OF_TYPE(FRAME_FIXED) ? frame_get(frame, FRAME_WRITABLE)
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

static int get_upper_entry(unsigned int level, uint64_t entry)
{
    if (entry & UPPER_REFUSED)
        return -EINVAL;
    return pagetable_get(mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT), level - 1);
}

static void put_entry(unsigned int level, uint64_t entry)
{
    if (level == 1) {
        put_l1_entry(entry);
    } else {
        tlb_is_stale = 1; /* the CPU caches upper levels, too (SDM vol. 3A, 4.10.3) */
        pagetable_put(mfn((entry & PTE_ADDRESS) >> PAGE_SHIFT));
    }
}

static int is_hypervisor_slot(unsigned int level, unsigned int slot)
{
    return level == 4 && slot >= HYPERVISOR_FIRST_SLOT && slot <= HYPERVISOR_LAST_SLOT;
}

static void put_entries(mfn_t table, unsigned int level, unsigned int end)
{
    const uint64_t *entries = frame_to_virtual(table);

    for (unsigned int i = 0; i < end; i++)
        if ((entries[i] & PTE_P) && !is_hypervisor_slot(level, i))
            put_entry(level, entries[i]);
}

/*
 * Check all entries of a table and take their references; after an error none is held. The levels
 * have a loop each, as level 1 has most of the entries.
 */
static int get_l1_entries(mfn_t table)
{
    uint64_t *entries = frame_to_virtual(table);

    for (unsigned int i = 0; i < 512; i++) {
        if (!(entries[i] & PTE_P))
            continue;

        int error = get_l1_entry(entries[i]);

        if (error) {
            put_entries(table, 1, i);
            return error;
        }
        entries[i] |= PTE_US; /* guest kernel and application both run in ring 3 */
    }
    return 0;
}

static int get_upper_entries(mfn_t table, unsigned int level)
{
    uint64_t *entries = frame_to_virtual(table);

    for (unsigned int i = 0; i < 512; i++) {
        if (!(entries[i] & PTE_P) || is_hypervisor_slot(level, i))
            continue;

        int error = get_upper_entry(level, entries[i]);

        if (error) {
            put_entries(table, level, i);
            return error;
        }
        entries[i] |= PTE_US;
    }
    if (level == 4)
        for (unsigned int i = HYPERVISOR_FIRST_SLOT; i <= HYPERVISOR_LAST_SLOT; i++)
            entries[i] = boot_l4[i];
    return 0;
}

int pagetable_get(mfn_t frame, unsigned int level)
{
    enum frame_type type = FRAME_L1 + level - 1;

    if (frame.n >= frame_limit)
        return -EINVAL;

    enum frame_type old = frame_type(frame);
    int error = frame_get(frame, type);

    /* Its entries are checked while it already has its type: one that maps it writable fails. */
    if (error || old == type)
        return error;
    work.left -= WORK_TABLE;
    error = level == 1 ? get_l1_entries(frame) : get_upper_entries(frame, level);
    if (error)
        frame_table[frame.n] = FRAME_OF_TYPE(FRAME_WRITABLE);
    return error;
}

void pagetable_put(mfn_t frame)
{
    unsigned int level = frame_type(frame) - FRAME_L1 + 1;

    if ((frame_table[frame.n] & FRAME_COUNT) == 1) {
        work.left -= WORK_TABLE;
        put_entries(frame, level, 512);
        /* The TLB may know it as a table: frame_retype() must see a type that it was. */
        tlb_flush();
        frame_table[frame.n] = FRAME_OF_TYPE(FRAME_WRITABLE);
    } else {
        frame_put(frame);
    }
}

int pagetable_pin(mfn_t frame, unsigned int level)
{
    if (frame.n >= frame_limit)
        return -EINVAL;
    if (frame_table[frame.n] & FRAME_PINNED && frame_type(frame) != FRAME_FIXED)
        return -EINVAL;

    int error = pagetable_get(frame, level);

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
    pagetable_put(frame);
    return 0;
}

/*
 * The old entry goes first: the same frame may come back with other rights. (Only this CPU runs on
 * these tables, so nobody sees the gap.)
 */
static int set_l1_entry(uint64_t *slot, uint64_t entry)
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

static int set_upper_entry(unsigned int level, uint64_t *slot, uint64_t entry)
{
    uint64_t old = *slot;

    if (is_hypervisor_slot(level, (uint64_t)slot % PAGE_BYTES / 8))
        return -EINVAL;
    if (is_sealed && (old & PTE_P) &&
        (frame_table[(old & PTE_ADDRESS) >> PAGE_SHIFT] & FRAME_SEALED))
        return -EPERM;
    if (entry & PTE_P) {
        int error = get_upper_entry(level, entry);

        if (error)
            return error;
        entry |= is_sealed ? PTE_US | PTE_NX : PTE_US;
    }
    *slot = entry;
    if (old & PTE_P)
        put_entry(level, old);
    return 0;
}

/* A plain write to a frame of the domain: allowed where a writable mapping would be. */
static int set_word(mfn_t frame, uint64_t *slot, uint64_t value)
{
    int error = frame_get(frame, FRAME_WRITABLE);

    if (error)
        return error;
    *slot = value;
    frame_table[frame.n]--;
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

    int error = pagetable_get(frame, 4);

    if (error)
        return error;
    cpu_write_cr3(frame.n << PAGE_SHIFT);
    if (frame_type(old) == FRAME_L4)
        pagetable_put(old);
    return 0;
}

#define TABLE_BYTES (512 * PAGE_BYTES) /* mapped by one L1 table */

static uint64_t next_table(uint64_t virtual, uint64_t end)
{
    uint64_t next = (virtual & -TABLE_BYTES) + TABLE_BYTES;

    return next < end ? next : end;
}

/* The use that FRAME_SEALED stands for, of each frame from start to end; *end: where one fails. */
static int take_frames(uint64_t start, uint64_t *end)
{
    for (uint64_t at = start; at < *end;) {
        const uint64_t *entry = find_entry(at, 1);

        for (uint64_t next = next_table(at, *end); at < next; at += PAGE_BYTES, entry++) {
            mfn_t frame = mfn(entry ? (*entry & PTE_ADDRESS) >> PAGE_SHIFT : frame_limit);

            if (frame.n >= frame_limit || !(*entry & PTE_P) || frame_get(frame, FRAME_EXECUTABLE)) {
                *end = at;
                return -EINVAL;
            }
        }
    }
    return 0;
}

/* Page tables take the use with the mark. */
static void seal_table(uint64_t entry)
{
    uint32_t *word = &frame_table[(entry & PTE_ADDRESS) >> PAGE_SHIFT];

    if (!(*word & FRAME_SEALED))
        *word += FRAME_SEALED + 1;
}

int pagetable_seal(uint64_t start, uint64_t end)
{
    if (is_sealed)
        return -EPERM;
    if (((start | end) & (PAGE_BYTES - 1)) || start >= end ||
        (end - start) >> PAGE_SHIFT > PARVUS_SEAL_MAX_PAGES || !guest_address_is_ok(start) ||
        !guest_address_is_ok(end - 1))
        return -EINVAL;

    uint64_t taken = end;
    int error = take_frames(start, &taken);

    for (uint64_t at = start; at < taken;) {
        const uint64_t *entry = find_entry(at, 1);

        for (uint64_t next = next_table(at, taken); at < next; at += PAGE_BYTES, entry++) {
            mfn_t frame = mfn((*entry & PTE_ADDRESS) >> PAGE_SHIFT);

            if (error)
                frame_put(frame);
            else
                frame_table[frame.n] |= FRAME_SEALED;
        }
    }
    if (error)
        return error;
    for (uint64_t at = start; at < end; at = next_table(at, end))
        for (unsigned int level = 4; level > 1; level--)
            seal_table(*find_entry(at, level));
    is_sealed = 1;
    return 0;
}
