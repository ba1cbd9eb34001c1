/*
 * The machine-to-physical table: xen.h, machine_to_phys_mapping; read-only for the guest at
 * HYPERVISOR_VIRT_START. It is filled a page at a time when the guest first looks, as few guests
 * ever do and filling it takes time proportional to memory. Ring 0.
 */
#ifndef HYPERVISOR_M2P_H
#define HYPERVISOR_M2P_H

#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/memory.h"

/* Reserve its memory. */
void m2p_init(void);

/* Learn which pfn a machine range is, as the domain is built. */
void m2p_add_range(uint64_t first_mfn, uint64_t pages, uint64_t first_pfn);

/* Set one entry. -EINVAL for frames that are not the domain's. */
int m2p_set(mfn_t frame, uint64_t pfn);

/* A fault at `addr`: nonzero when it lay in the table and can be retried. */
int m2p_fault(uint64_t addr);

#endif
