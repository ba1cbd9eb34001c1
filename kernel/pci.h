/*
 * PCI functions of a host bridge that answers at configuration mechanism #1 (PCI Local Bus 3.0,
 * 3.2.2.3.2: ports 0xcf8 and 0xcfc): finding them, their configuration space, BARs and interrupts.
 *
 * What firmware assigned (bus numbers, BARs, interrupt lines) is taken as it is. What a device says
 * of itself is input: lists are bounded, BARs checked. Callers: threads, one at a time (boot and
 * drivers' probes); the configuration accesses go through a pair of ports, which events must not
 * use. Functions that return int: 0 or a negative errno.
 */
#ifndef KERNEL_PCI_H
#define KERNEL_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pv/pv.h"

struct pci_function {
    uint16_t segment; /* 0: mechanism #1 has one */
    uint8_t bus;
    uint8_t devfn;
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem; /* 0 for bridges */
    uint32_t class_code;                  /* class << 16 | subclass << 8 | interface */
    uint8_t revision;
};

/* "bb:dd.f" */
#define PCI_NAME "%02x:%02x.%x"
#define PCI_NAME_OF(f) (f)->bus, (f)->devfn >> 3, (f)->devfn & 7u

/*
 * Calls fn for each function behind the host bridge, bridges included, until it returns other than
 * 0, and returns that. The struct is fn's own only during the call: copy it. 0: no more functions;
 * -ENODEV: no host bridge answers, or no port access for this domain.
 */
typedef int pci_visit_t(const struct pci_function *f, void *arg);
int pci_scan(pci_visit_t *fn, void *arg);

/* Configuration space, offset < 256, aligned to the size. */
uint8_t pci_read8(const struct pci_function *f, unsigned offset);
uint16_t pci_read16(const struct pci_function *f, unsigned offset);
uint32_t pci_read32(const struct pci_function *f, unsigned offset);
void pci_write8(const struct pci_function *f, unsigned offset, uint8_t value);
void pci_write16(const struct pci_function *f, unsigned offset, uint16_t value);
void pci_write32(const struct pci_function *f, unsigned offset, uint32_t value);

#define PCI_INTERRUPT_LINE 0x3c /* what firmware wrote there, 8 bits */
#define PCI_COMMAND 0x04
#define PCI_COMMAND_PORTS 0x1
#define PCI_COMMAND_MEMORY 0x2
#define PCI_COMMAND_MASTER 0x4
#define PCI_COMMAND_NO_INTX 0x400
/* Changes the command register: sets and clears PCI_COMMAND_* bits. */
void pci_command(const struct pci_function *f, uint16_t set, uint16_t clear);

/* The offset of the nth (0 is the first) capability of that kind, or 0. Every capability that is
 * found lies in the space for them; its own length is not checked. */
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX 0x11
unsigned pci_capability(const struct pci_function *f, uint8_t id, unsigned nth);

struct pci_bar {
    maddr_t start; /* a port number, if is_port */
    uint64_t bytes;
    bool is_port, is_64bit, is_prefetchable;
};
#define PCI_BARS 6
/* -ENOENT: not implemented, or the upper half of a 64-bit one; -EINVAL: nonsense, or no address was
 * assigned. Sizes it by writing: the device must be idle. */
int pci_bar(const struct pci_function *f, unsigned index, struct pci_bar *out);
/* Maps bytes [offset, offset + bytes) of a memory BAR. -EINVAL: beyond its end, or ports; as
 * pci_bar and vm_map_device. */
int pci_map_bar(const struct pci_function *f, unsigned index, uint64_t offset, size_t bytes,
                const char *name, volatile void **out);

/* MSI-X: how many entries the function has (0: none); binds one of them (pv_irq_bind_msix). */
unsigned pci_msix_entries(const struct pci_function *f);
int pci_msix_bind(const struct pci_function *f, unsigned entry, event_handler_t *fn, void *arg,
                  event_port_t *port);
/* After the entries are bound. Enabling turns INTx off. */
void pci_msix_enable(const struct pci_function *f, bool enable);

/*
 * The function's INTx line, level-triggered (pv_irq_bind_gsi): the handler must cope with events of
 * other devices, and ends with pv_irq_done. Functions that share it and have no driver lose their
 * INTx. *f must stay where it is until pci_intx_unbind. -ENODEV: it has none.
 */
int pci_intx_bind(const struct pci_function *f, event_handler_t *fn, void *arg, event_port_t *port);
int pci_intx_unbind(const struct pci_function *f, event_port_t port);

#endif
