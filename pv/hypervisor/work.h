/*
 * How much one hypercall may do. The unit is a page-table entry changed, or about as much work; a
 * hypercall may use WORK_LIMIT of them, all calls of a multicall together. Xen interrupts what
 * takes long and goes on with it later; here what is too much is refused (-E2BIG), or cut where it
 * is a batch. It may overdraw by what cannot be cut: one tree of page tables that is checked or
 * released. Ring 0; one CPU.
 */
#ifndef HYPERVISOR_WORK_H
#define HYPERVISOR_WORK_H

#include <stdint.h>

#define WORK_LIMIT 0x10000
#define WORK_TABLE 512 /* a page table checked or released */
#define WORK_CALL 64   /* a hypercall that is no batch itself */

extern struct work {
    int64_t left;
    int is_shared; /* the call is one of a multicall */
} work;

/* At the beginning of a batch. */
static inline void work_begin(void)
{
    if (!work.is_shared)
        work.left = WORK_LIMIT;
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
