/*
 * PCI configuration space, for what the hypervisor does itself there: message-signalled
 * interrupts. Mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2), whose address register the guest uses,
 * too: it finds it as it left it. Ring 0.
 */
#ifndef HYPERVISOR_PCI_H
#define HYPERVISOR_PCI_H

#include <stdint.h>

/* bus << 8 | device << 3 | function */
typedef struct {
    uint16_t n;
} pci_id_t;

#define PCI_CAPABILITY_MSI 0x05
#define PCI_CAPABILITY_MSIX 0x11

/* 32 bits at an offset that is a multiple of 4; all ones where there is nothing. */
uint32_t pci_read32(pci_id_t id, unsigned int offset);
void pci_write32(pci_id_t id, unsigned int offset, uint32_t value);
/* 16 bits, at a multiple of 2. */
uint16_t pci_read16(pci_id_t id, unsigned int offset);
void pci_write16(pci_id_t id, unsigned int offset, uint16_t value);

int pci_is_there(pci_id_t id);
/* Offset of a capability, or 0. */
unsigned int pci_capability(pci_id_t id, uint8_t kind);
/* The address in a memory BAR, or 0: none, ports, or not assigned. */
uint64_t pci_bar(pci_id_t id, unsigned int index);
/* Whether the function answers at the addresses in its memory BARs. */
int pci_decodes_memory(pci_id_t id);

#endif
