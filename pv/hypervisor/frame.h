/*
 * What each machine frame is used for: the rule that keeps the guest out of its own page tables.
 *
 * A frame has one type at a time and a count of the uses of that type; without any it may take up
 * another one. Frames start out as writable ones without a use. A frame that is mapped
 * writable cannot be a page table, and (for a domain that asked, PARVUS_FEATURE_WX) not be mapped
 * executable; all pairs exclude each other. What is sealed counts as executable. Read-only mappings
 * take no reference: they are always allowed to the domain's own memory. Xen: arch/x86/mm.c, "page
 * types"; its rule without the reference counts for domains that come and go.
 *
 * Ring 0, interrupts off; one CPU. With several, frame_table is what a domain-wide lock protects.
 */
#ifndef HYPERVISOR_FRAME_H
#define HYPERVISOR_FRAME_H

#include <stdint.h>
#include "pv/hypervisor/memory.h"

enum frame_type {
    FRAME_NONE = 0, /* what a read-only mapping needs; no frame is of it */
    FRAME_WRITABLE = 1,
    FRAME_EXECUTABLE = 2,
    FRAME_L1 = 3,
    FRAME_L2 = 4,
    FRAME_L3 = 5,
    FRAME_L4 = 6,
    FRAME_FIXED = 7, /* not the domain's memory; the count says what: FIXED_* */
};

#define FRAME_TYPE_SHIFT 29
#define FRAME_PINNED (1u << 28)
#define FRAME_SEALED (1u << 27) /* see pagetable_seal(); there is a use that never goes */
#define FRAME_COUNT (FRAME_SEALED - 1)
#define FRAME_OF_TYPE(type) ((uint32_t)(type) << FRAME_TYPE_SHIFT)

#define FIXED_HYPERVISOR (FRAME_OF_TYPE(FRAME_FIXED) | 0)
#define FIXED_IO (FRAME_OF_TYPE(FRAME_FIXED) | 1)     /* no RAM: device memory, firmware tables */
#define FIXED_SHARED (FRAME_OF_TYPE(FRAME_FIXED) | 2) /* shared_info: never executable */

extern uint32_t *frame_table;
extern uint64_t frame_limit; /* frames below it have an entry */

/*
 * Set when a translation that the CPU may have cached was removed since the last full TLB flush.
 * A frame may change from one type to another only with it clear.
 */
extern int tlb_is_stale;

/* The type of a frame below frame_limit. */
static inline enum frame_type frame_type(mfn_t frame)
{
    return frame_table[frame.n] >> FRAME_TYPE_SHIFT;
}

/* frame_get() where the frame is not of that type. */
int frame_get_other(mfn_t frame, enum frame_type type);

/*
 * One more use of `frame` as `type` (WRITABLE or EXECUTABLE): 0, -EINVAL (in use as another type,
 * not RAM), -EPERM (the hypervisor's). For page tables: pagetable.c.
 */
static inline int frame_get(mfn_t frame, enum frame_type type)
{
    uint32_t word = frame_table[frame.n];

    if (__builtin_expect(word - FRAME_OF_TYPE(type) >= FRAME_COUNT, 0))
        return frame_get_other(frame, type);
    frame_table[frame.n] = word + 1;
    return 0;
}

static inline void frame_put(mfn_t frame)
{
    frame_table[frame.n]--;
    tlb_is_stale = 1;
}

/* A frame without uses takes up another type: flushes the TLB if it may know the former one. */
void frame_retype(mfn_t frame, enum frame_type type);

/* Remove every cached translation. */
void tlb_flush(void);

#endif
