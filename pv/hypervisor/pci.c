/* See pci.h. PCI Local Bus 3.0, 6.1 (header), 6.2.5.1 (BARs), 6.7 (capabilities). */
#include "pv/hypervisor/pci.h"
#include "pv/hypervisor/cpu.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ADDRESS_ENABLE 0x80000000u

enum {
    VENDOR = 0x00,
    COMMAND = 0x04,
    STATUS = 0x06,
    CLASS_HEADER = 0x0c,
    BAR0 = 0x10,
    CAPABILITIES = 0x34,
};

#define COMMAND_MEMORY 0x2
#define STATUS_CAPABILITIES 0x10
#define CAPABILITIES_START 0x40
#define MAX_CAPABILITIES ((256 - CAPABILITIES_START) / 4)
#define BAR_PORT 0x1
#define BAR_TYPE 0x6
#define BAR_64BIT 0x4

/* Returns what the address register held. */
static uint32_t select(pci_id_t id, unsigned int offset)
{
    uint32_t before = cpu_inl(PORT_ADDRESS);

    cpu_outl(PORT_ADDRESS, ADDRESS_ENABLE | (uint32_t)id.n << 8 | (offset & 0xfc));
    return before;
}

uint32_t pci_read32(pci_id_t id, unsigned int offset)
{
    uint32_t before = select(id, offset);
    uint32_t value = cpu_inl(PORT_DATA);

    cpu_outl(PORT_ADDRESS, before);
    return value;
}

void pci_write32(pci_id_t id, unsigned int offset, uint32_t value)
{
    uint32_t before = select(id, offset);

    cpu_outl(PORT_DATA, value);
    cpu_outl(PORT_ADDRESS, before);
}

uint16_t pci_read16(pci_id_t id, unsigned int offset)
{
    return (uint16_t)(pci_read32(id, offset & ~3u) >> (offset & 2) * 8);
}

void pci_write16(pci_id_t id, unsigned int offset, uint16_t value)
{
    uint32_t before = select(id, offset);

    cpu_outw((uint16_t)(PORT_DATA + (offset & 2)), value);
    cpu_outl(PORT_ADDRESS, before);
}

/* Without a host bridge the ports read as all ones. */
int pci_is_there(pci_id_t id)
{
    uint16_t vendor = pci_read16(id, VENDOR);

    return vendor != 0xffff && vendor != 0;
}

unsigned int pci_capability(pci_id_t id, uint8_t kind)
{
    if (!(pci_read16(id, STATUS) & STATUS_CAPABILITIES))
        return 0;

    unsigned int at = pci_read32(id, CAPABILITIES) & 0xfc;

    /* A list that does not end has more links than there is room for. */
    for (unsigned int links = 0; at >= CAPABILITIES_START && links < MAX_CAPABILITIES; links++) {
        uint32_t head = pci_read32(id, at);

        if ((head & 0xff) == kind)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

uint64_t pci_bar(pci_id_t id, unsigned int index)
{
    unsigned int header = pci_read32(id, CLASS_HEADER) >> 16 & 0x7f;
    unsigned int limit = header == 0 ? 6 : header == 1 ? 2 : 0; /* plain, bridge */

    if (index >= limit)
        return 0;

    uint64_t bar = pci_read32(id, BAR0 + 4 * index);

    if (bar & BAR_PORT)
        return 0;
    if ((bar & BAR_TYPE) == BAR_64BIT) {
        if (index + 1 >= limit)
            return 0;
        bar |= (uint64_t)pci_read32(id, BAR0 + 4 * index + 4) << 32;
    }
    return bar & ~0xful;
}

int pci_decodes_memory(pci_id_t id)
{
    return pci_read16(id, COMMAND) & COMMAND_MEMORY;
}
