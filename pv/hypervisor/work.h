/*
 * How much is done with interrupts off. The unit is a page-table entry of the commonest kind that
 * is changed (about 40 instructions), or about as much work; a hypercall has WORK_SLICE of them,
 * all calls of a multicall together. A batch that needs more stops there and is continued by a new
 * hypercall (continuation.h). It may overdraw by what cannot be cut, which is no more than two page
 * tables of 512 entries: one that takes the place of another. Ring 0; one CPU.
 */
#ifndef HYPERVISOR_WORK_H
#define HYPERVISOR_WORK_H

#include <stdint.h>

#define WORK_SLICE 1024
#define WORK_ENTRY                                                                                 \
    4 /* an entry that is not of the commonest kind, beside the unit for its request */
#define WORK_PAGE 16   /* a page cleared or copied */
#define WORK_TABLE 512 /* a page table checked or released */

extern struct work {
    int64_t left;
    int64_t mmu_slice; /* for a hypercall that changes page tables; -1: see pagetable_release() */
    int is_shared;     /* the call is one of a multicall */
} work;

/* At the beginning of a batch. */
static inline void work_begin(int64_t units)
{
    if (!work.is_shared)
        work.left = units;
}

/* 0 when there is more left than that and it is taken, else -1. */
static inline int work_take(uint64_t units)
{
    if (work.left < (int64_t)units)
        return -1;
    work.left -= (int64_t)units;
    return 0;
}

#endif
