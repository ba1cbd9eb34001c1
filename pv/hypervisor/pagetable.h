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
 * One more reference to the page table of `level` (1..4) in `frame`; the first checks all its
 * entries. 0, -EINVAL (an entry is not allowed, or the frame is in use as something else), -EPERM.
 */
int pagetable_get(mfn_t frame, unsigned int level);
/* One less; the last releases what its entries refer to. */
void pagetable_put(mfn_t frame);

/* Set or clear FRAME_PINNED, which holds one reference. -EINVAL when it is already so. */
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

/* pagetable_set_l1() for all but its commonest case. */
int pagetable_set_l1_other(uint64_t *slot, uint64_t entry);

/*
 * pagetable_set() for a slot that is known to lie in an L1 table. Inline for the sake of batches:
 * here are the commonest cases, entries that map data (writable, no-execute) or nothing. `table`
 * and `limit` are frame_table and frame_limit.
 */
static inline int pagetable_set_l1(uint64_t *slot, uint64_t entry, uint32_t *table, uint64_t limit)
{
    const uint64_t data = PTE_P | PTE_RW | PTE_NX;
    uint64_t old = *slot;
    uint64_t frame = entry << 12 >> 24, old_frame = old << 12 >> 24; /* bits 51..12 */

    if (__builtin_expect(entry & PTE_P, 1)) {
        /* One more use; other types, and too many uses, are not in the range. */
        if ((entry & (L1_REFUSED | data)) != data || frame >= limit ||
            table[frame] - FRAME_OF_TYPE(FRAME_WRITABLE) >= FRAME_COUNT)
            return pagetable_set_l1_other(slot, entry);
    }
    if (old & PTE_P) {
        if ((old & data) != data || old_frame >= limit ||
            table[old_frame] - FRAME_OF_TYPE(FRAME_WRITABLE) >= FRAME_COUNT)
            return pagetable_set_l1_other(slot, entry);
        table[old_frame]--;
        tlb_is_stale = 1;
    }
    if (__builtin_expect(entry & PTE_P, 1)) {
        table[frame]++;
        entry |= PTE_US;
    }
    *slot = entry;
    return 0;
}

/* The L1 entry for a guest-virtual address: its machine address, or 0 where there is no L1. */
uint64_t pagetable_find_l1(uint64_t virtual);

/* Switch to another L4, which takes a reference; the former loses its own. */
int pagetable_set_base(mfn_t frame);

#endif
