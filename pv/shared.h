/*
 * The page shared with the hypervisor (private to pv/): struct shared_info, mapped over
 * pv_shared_page at boot. Entry code names its bytes by absolute address, so it is in the image.
 */
#ifndef PV_SHARED_H
#define PV_SHARED_H

#include "pv/hypercall.h"
#include "pv/pv.h"

static inline struct shared_info *pv_shared(void)
{
    return (struct shared_info *)pv_shared_page;
}

/* This vCPU's part of it: the accessor to per-vCPU state in pv/. */
static inline struct vcpu_info *pv_vcpu(void)
{
    return &pv_shared()->vcpu_info[pv_cpu()];
}

/* Steps of boot, called by pv/start.c in this order; all on the boot stack, events masked. */
void pv_traps_init(void);
void pv_memory_find_tables(const struct start_info *si); /* before pv_boot_table */
void pv_memory_init(const struct start_info *si);

/* The bootstrap table behind a page-table entry, or NULL; after pv_memory_find_tables. */
const uint64_t *pv_boot_table_behind(uint64_t entry, pfn_t *frame);

/* Moves the image by what it returns, and corrects *si; the caller goes on at its new address,
 * where the second one queues the updates that take the old addresses away. */
uintptr_t pv_relocate(struct start_info *si);
void pv_relocate_finish(void);

#endif
