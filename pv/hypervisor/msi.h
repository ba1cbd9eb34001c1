/*
 * Message-signalled interrupts of PCI functions, one message each: MSI (PCI Local Bus 3.0, 6.8.1)
 * and entries of an MSI-X table (6.8.2). The hypervisor alone chooses address and data, and writes
 * them itself; the guest enables the capability. Ring 0.
 */
#ifndef HYPERVISOR_MSI_H
#define HYPERVISOR_MSI_H

#include <stdint.h>
#include "pv/hypervisor/pci.h"

struct msi_source {
    pci_id_t function;
    uint8_t capability; /* its offset */
    uint8_t is_msix;
    uint64_t entry; /* MSI-X: machine address of the entry */
};

/* Errors as pirq_map_msi() has them. */
int msi_find_entry(pci_id_t function, int entry, uint64_t table, struct msi_source *out);
int msi_find(pci_id_t function, struct msi_source *out);

static inline int msi_is_same(const struct msi_source *a, const struct msi_source *b)
{
    return a->function.n == b->function.n && a->is_msix == b->is_msix && a->entry == b->entry;
}

/* Let it interrupt this CPU by `vector`, masked at first (where MSI has no mask: at once). */
void msi_write(const struct msi_source *source, uint8_t vector);
void msi_mask(const struct msi_source *source, int masked);

#endif
