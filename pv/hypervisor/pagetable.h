/*
 * The domain's page tables: every entry is checked before the CPU can see it.
 *
 * A page table is a frame of type FRAME_L1..FRAME_L4 (frame.h): it is entered once, when it is
 * first pinned or referenced, and then changed entry by entry only through pagetable_set(). An
 * entry of a level above 1 holds a reference to the table below; a writable (executable) L1 entry
 * one to its frame. Xen: arch/x86/mm.c; public/xen.h, mmu_update.
 * A table never contains itself: Xen's "linear page tables" are refused, as they would let the
 * guest name the hypervisor's own tables by an address of its half. Ring 0; guarded as frame.h
 * says.
 */
#ifndef HYPERVISOR_PAGETABLE_H
#define HYPERVISOR_PAGETABLE_H

#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/memory.h"

#define PTE_US 0x4ul
#define PTE_A 0x20ul
#define PTE_D 0x40ul
#define PTE_NX (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

/* The L4 slots that are the hypervisor's (xen-x86_64.h). */
#define HYPERVISOR_FIRST_SLOT 256
#define HYPERVISOR_LAST_SLOT 271

/* Whether this domain asked for PARVUS_FEATURE_WX. */
extern int pagetable_enforce_wx;

/*
 * Trees of tables. The first reference to a table checks all its entries, and with them the tables
 * below; the last one releases them. Either may take more than what is left of a slice (work.h),
 * and then it is in the middle of it while the guest runs: the tables from the root of the tree
 * down to the one at work can be referred to by nobody, nor changed.
 *
 * - A check that is not over gives -ERESTART, and nothing else has been changed: the next operation
 *   that refers to the same root goes on with it. One that refers to another of its tables, writes
 *   to one, or has a tree of its own to check gives it up: with -ERESTART, to begin anew itself. If
 *   neither ever comes, the tables remain as they are.
 * - A release is owed: the operation itself is done. It has to be over before the next one begins,
 *   and before the hypercall returns: pagetable_release().
 *
 * So wherever work.left may have become negative, no operation but update_va_mapping's may begin.
 * Xen: arch/x86/mm.c, PGT_partial and old_guest_table.
 */

/* Go on with the release that is owed; nonzero: it is still not over. */
int pagetable_release(void);
int pagetable_is_releasing(void);

/*
 * Set or clear FRAME_PINNED, which holds one reference. -EINVAL: it is already so, an entry is not
 * allowed, or the frame is in use as something else; -EPERM: the hypervisor's, or sealed.
 */
int pagetable_pin(mfn_t frame, unsigned int level);
int pagetable_unpin(mfn_t frame);

/*
 * Write `entry` at machine address `addr` (8-byte aligned) of a page table, or of a plain frame of
 * the domain. With keep_ad the old entry's accessed and dirty bits stay set.
 */
int pagetable_set(uint64_t addr, uint64_t entry, int keep_ad);

/*
 * Bits that an L1 entry must not have: global, protection keys and the ignored bits 52..62, which
 * Xen keeps from guests, too. Caching bits are the guest's choice.
 */
#define L1_REFUSED (0x7ff0000000000000ul | 0x100)

/* What l1_set_data() looks at for each entry, for the sake of batches in registers. */
struct l1_checks {
    uint64_t data;    /* bits of an entry that maps data: writable, no-execute */
    uint64_t checked; /* these and those that an entry must not have */
    uint32_t *table;  /* frame_table */
    uint64_t limit;   /* frame_limit */
};

static inline struct l1_checks l1_checks(void)
{
    struct l1_checks checks = {
        .data = PTE_P | PTE_RW | PTE_NX,
        .checked = L1_REFUSED | PTE_P | PTE_RW | PTE_NX,
        .table = frame_table,
        .limit = frame_limit,
    };

    /* Or the compiler would make the constants anew for each entry. */
    __asm__("" : "+r"(checks.data), "+r"(checks.checked));
    return checks;
}

/* One use more or less, in one instruction where the compiler would take three. */
static inline void l1_use(uint32_t *word)
{
    __asm__("incl %0" : "+m"(*word) : : "cc");
}

static inline void l1_unuse(uint32_t *word)
{
    __asm__("decl %0" : "+m"(*word) : : "cc");
}

/* Give back the frame of a present entry, if the entry maps the domain's data; else return 0. */
static inline int l1_put_data(uint64_t entry, const struct l1_checks *checks)
{
    uint64_t rest = entry ^ checks->data;

    if (rest & checks->checked)
        return 0;

    uint64_t frame = rest >> PAGE_SHIFT; /* bits 51..12: those above are clear */

    if (frame >= checks->limit || checks->table[frame] >= FRAME_OF_TYPE(FRAME_FIXED))
        return 0;
    l1_unuse(&checks->table[frame]);
    tlb_is_stale = 1;
    return 1;
}

/*
 * The commonest changes of a slot that is known to lie in an L1 table, those between data and
 * nothing: 1 when it was one and is done, 0 when pagetable_set() has to see to it.
 */
static inline int l1_set_data(uint64_t *slot, uint64_t entry, const struct l1_checks *checks)
{
    uint64_t old = *slot;
    uint64_t rest = entry ^ checks->data;

    if (rest & checks->checked) {
        if (entry & PTE_P || (old & PTE_P && !l1_put_data(old, checks)))
            return 0;
        *(volatile uint64_t *)slot = entry;
        return 1;
    }

    uint64_t frame = rest >> PAGE_SHIFT;

    /* In use as data: other types, and too many uses, are not in the range. */
    if (frame >= checks->limit ||
        checks->table[frame] - FRAME_OF_TYPE(FRAME_WRITABLE) >= FRAME_COUNT)
        return 0;
    if (old & PTE_P && !l1_put_data(old, checks))
        return 0;
    l1_use(&checks->table[frame]);
    *(volatile uint64_t *)slot = entry | PTE_US;
    return 1;
}

/* The L1 entry for a guest-virtual address: its machine address, or 0 where there is no L1. */
uint64_t pagetable_find_l1(uint64_t virtual);

/* The frame that a guest-virtual address is mapped to; frame 0 (the hypervisor's) for none. */
mfn_t pagetable_frame_at(uint64_t virtual);

/* Switch to another L4, which takes a reference; the former loses its own. -EPERM: sealed. */
int pagetable_set_base(mfn_t frame);

/* PARVUS_HYPERCALL_SEAL (pv/abi.h) of a domain that has the feature. */
int pagetable_seal(uint64_t start, uint64_t end);

#endif
