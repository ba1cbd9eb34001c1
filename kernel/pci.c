/*
 * See pci.h. Callers: threads. Ring 3. Locks: none, the caller's turn (pci.h).
 *
 * PCI Local Bus Specification 3.0, chapter 6 (configuration space), PCI-to-PCI Bridge Architecture
 * 1.2, 3.2 (bridges' header).
 */
#include "kernel/pci.h"

#include <errno.h>

#include "kernel/vm.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ADDRESS_ENABLE 0x80000000u

enum {
    VENDOR = 0x00,
    STATUS = 0x06,
    CLASS_REVISION = 0x08,
    HEADER_TYPE = 0x0e,
    BAR0 = 0x10,
    SECONDARY_BUS = 0x19, /* bridges */
    SUBSYSTEM = 0x2c,     /* others */
    CAPABILITIES = 0x34,
    INTERRUPT_PIN = 0x3d,
};

#define NO_DEVICE 0xffffu
#define STATUS_CAPABILITIES 0x10
#define HEADER_MULTIFUNCTION 0x80
#define HEADER_NORMAL 0
#define HEADER_BRIDGE 1
#define CLASS_HOST_BRIDGE 0x0600
#define CAPABILITIES_START 0x40
#define MAX_CAPABILITIES ((256 - CAPABILITIES_START) / 4)

#define BAR_PORT 0x1
#define BAR_TYPE 0x6
#define BAR_64BIT 0x4
#define BAR_PREFETCHABLE 0x8

#define MSIX_CONTROL 2 /* offsets from the capability; PCI 3.0, 6.8.2 */
#define MSIX_TABLE 4
#define MSIX_ENABLE 0x8000
#define MSIX_TABLE_SIZE 0x7ff
#define MSIX_BIR 0x7

#define INTX_USERS 32

/* --- Configuration space -------------------------------------------------------------------- */

static uint16_t select(const struct pci_function *f, unsigned offset)
{
    pv_port_write(PORT_ADDRESS, 4,
                  ADDRESS_ENABLE | (uint32_t)f->bus << 16 | (uint32_t)f->devfn << 8 |
                      (offset & 0xfc));
    return (uint16_t)(PORT_DATA + (offset & 3));
}

uint8_t pci_read8(const struct pci_function *f, unsigned offset)
{
    return (uint8_t)pv_port_read(select(f, offset), 1);
}

uint16_t pci_read16(const struct pci_function *f, unsigned offset)
{
    return (uint16_t)pv_port_read(select(f, offset), 2);
}

uint32_t pci_read32(const struct pci_function *f, unsigned offset)
{
    return pv_port_read(select(f, offset), 4);
}

void pci_write8(const struct pci_function *f, unsigned offset, uint8_t value)
{
    pv_port_write(select(f, offset), 1, value);
}

void pci_write16(const struct pci_function *f, unsigned offset, uint16_t value)
{
    pv_port_write(select(f, offset), 2, value);
}

void pci_write32(const struct pci_function *f, unsigned offset, uint32_t value)
{
    pv_port_write(select(f, offset), 4, value);
}

void pci_command(const struct pci_function *f, uint16_t set, uint16_t clear)
{
    uint16_t old = pci_read16(f, PCI_COMMAND), new = (uint16_t)((old & ~clear) | set);

    if (new != old)
        pci_write16(f, PCI_COMMAND, new);
}

unsigned pci_capability(const struct pci_function *f, uint8_t id, unsigned nth)
{
    if (!(pci_read16(f, STATUS) & STATUS_CAPABILITIES))
        return 0;

    unsigned at = pci_read8(f, CAPABILITIES) & ~3u;
    /* A list that does not end has more links than there is room for. */
    for (unsigned links = 0; at >= CAPABILITIES_START && links < MAX_CAPABILITIES; links++) {
        uint16_t head = pci_read16(f, at); /* kind, next */

        if ((head & 0xff) == id && nth-- == 0)
            return at;
        at = head >> 8 & ~3u;
    }
    return 0;
}

/* --- Finding functions ---------------------------------------------------------------------- */

static bool has_host_bridge(void)
{
    const struct pci_function first = {0};

    if (pv_port_enable())
        return false;
    pv_port_write(PORT_ADDRESS, 4, ADDRESS_ENABLE);
    if (pv_port_read(PORT_ADDRESS, 4) != ADDRESS_ENABLE)
        return false;
    return pci_read16(&first, VENDOR) != NO_DEVICE &&
           pci_read32(&first, CLASS_REVISION) >> 16 == CLASS_HOST_BRIDGE;
}

static bool read_function(struct pci_function *f, uint8_t *header)
{
    uint32_t id = pci_read32(f, VENDOR);

    if ((id & 0xffff) == NO_DEVICE)
        return false;
    f->vendor = (uint16_t)id;
    f->device = (uint16_t)(id >> 16);
    uint32_t class_revision = pci_read32(f, CLASS_REVISION);
    f->class_code = class_revision >> 8;
    f->revision = (uint8_t)class_revision;
    *header = pci_read8(f, HEADER_TYPE);
    uint32_t subsystem =
        (*header & ~HEADER_MULTIFUNCTION) == HEADER_NORMAL ? pci_read32(f, SUBSYSTEM) : 0;
    f->subsystem_vendor = (uint16_t)subsystem;
    f->subsystem = (uint16_t)(subsystem >> 16);
    return true;
}

/* Buses in the order of their bridges; firmware numbers a bridge's bus higher than its own, so
 * that no bus comes twice. */
static int scan_bus(uint8_t bus, uint32_t to_do[8], pci_visit_t *fn, void *arg)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_function f = {.bus = bus, .devfn = (uint8_t)devfn};
        uint8_t header;

        if (!read_function(&f, &header)) {
            if (devfn % 8 == 0)
                devfn += 7; /* without function 0 there is no device */
            continue;
        }
        if ((header & ~HEADER_MULTIFUNCTION) == HEADER_BRIDGE) {
            uint8_t behind = pci_read8(&f, SECONDARY_BUS);

            if (behind > bus)
                to_do[behind / 32] |= 1u << behind % 32;
        }
        int result = fn(&f, arg);
        if (result)
            return result;
        if (devfn % 8 == 0 && !(header & HEADER_MULTIFUNCTION))
            devfn += 7;
    }
    return 0;
}

int pci_scan(pci_visit_t *fn, void *arg)
{
    uint32_t to_do[8] = {1};
    int result = has_host_bridge() ? 0 : -ENODEV;

    for (unsigned bus = 0; !result && bus < 256; bus++)
        if (to_do[bus / 32] >> bus % 32 & 1)
            result = scan_bus((uint8_t)bus, to_do, fn, arg);
    return result;
}

/* --- BARs ----------------------------------------------------------------------------------- */

/* What the device answers to all ones: the bits of the address that it decodes (PCI 3.0, 6.2.5.1).
 */
static uint32_t size_mask(const struct pci_function *f, unsigned offset, uint32_t old)
{
    pci_write32(f, offset, UINT32_MAX);
    uint32_t mask = pci_read32(f, offset);
    pci_write32(f, offset, old);
    return mask;
}

static bool is_upper_half(const struct pci_function *f, unsigned index)
{
    bool upper = false;

    for (unsigned i = 0; i < index; i++) {
        uint32_t low = pci_read32(f, BAR0 + 4 * i);

        upper = !upper && !(low & BAR_PORT) && (low & BAR_TYPE) == BAR_64BIT;
    }
    return upper;
}

int pci_bar(const struct pci_function *f, unsigned index, struct pci_bar *out)
{
    unsigned offset = BAR0 + 4 * index;

    if (index >= PCI_BARS || is_upper_half(f, index))
        return -ENOENT;
    uint32_t low = pci_read32(f, offset), high = 0;
    uint16_t command = pci_read16(f, PCI_COMMAND);
    bool is_port = low & BAR_PORT, is_64bit = !is_port && (low & BAR_TYPE) == BAR_64BIT;
    uint32_t flags = is_port ? 0x3 : 0xf;

    if (is_64bit && index == PCI_BARS - 1)
        return -EINVAL;
    /* It must not answer at the addresses that it gets meanwhile. */
    pci_command(f, 0, PCI_COMMAND_PORTS | PCI_COMMAND_MEMORY);
    uint64_t mask = size_mask(f, offset, low) & ~flags;
    if (is_64bit) {
        high = pci_read32(f, offset + 4);
        mask |= (uint64_t)size_mask(f, offset + 4, high) << 32;
    } else if (mask) {
        mask |= is_port ? UINT64_MAX << 16 : UINT64_MAX << 32;
    }
    pci_command(f, command & (PCI_COMMAND_PORTS | PCI_COMMAND_MEMORY), 0);
    if (!mask)
        return -ENOENT;
    *out = (struct pci_bar){.start.n = (uint64_t)high << 32 | (low & ~flags),
                            .bytes = -mask,
                            .is_port = is_port,
                            .is_64bit = is_64bit,
                            .is_prefetchable = !is_port && (low & BAR_PREFETCHABLE)};
    if ((out->bytes & mask) != out->bytes || !out->start.n || out->start.n % out->bytes)
        return -EINVAL;
    return 0;
}

/* Where a BAR is, whatever it is; unlike pci_bar it does not disturb the device. */
static maddr_t bar_start(const struct pci_function *f, unsigned index)
{
    uint32_t low = pci_read32(f, BAR0 + 4 * index);
    uint64_t high = (low & BAR_TYPE) == BAR_64BIT ? pci_read32(f, BAR0 + 4 * index + 4) : 0;

    return (maddr_t){high << 32 | (low & ~0xfu)};
}

int pci_map_bar(const struct pci_function *f, unsigned index, uint64_t offset, size_t bytes,
                const char *name, volatile void **out)
{
    struct pci_bar bar;
    int error = pci_bar(f, index, &bar);

    if (error)
        return error;
    if (bar.is_port || offset > bar.bytes || bytes > bar.bytes - offset)
        return -EINVAL;
    return vm_map_device((maddr_t){bar.start.n + offset}, bytes, name, out);
}

/* --- Interrupts ----------------------------------------------------------------------------- */

unsigned pci_msix_entries(const struct pci_function *f)
{
    unsigned at = pci_capability(f, PCI_CAPABILITY_MSIX, 0);

    return at ? (pci_read16(f, at + MSIX_CONTROL) & MSIX_TABLE_SIZE) + 1u : 0;
}

int pci_msix_bind(const struct pci_function *f, unsigned entry, event_handler_t *fn, void *arg,
                  event_port_t *port)
{
    unsigned at = pci_capability(f, PCI_CAPABILITY_MSIX, 0);

    if (entry >= pci_msix_entries(f))
        return -EINVAL;
    maddr_t bar = bar_start(f, pci_read32(f, at + MSIX_TABLE) & MSIX_BIR);
    /* The hypervisor reaches the table only where the device decodes memory. */
    pci_command(f, PCI_COMMAND_MEMORY, 0);
    return pv_irq_bind_msix(f->segment, f->bus, f->devfn, bar, entry, fn, arg, port);
}

void pci_msix_enable(const struct pci_function *f, bool enable)
{
    unsigned at = pci_capability(f, PCI_CAPABILITY_MSIX, 0);

    if (!at)
        return;
    pci_command(f, enable ? PCI_COMMAND_NO_INTX : 0, enable ? 0 : PCI_COMMAND_NO_INTX);
    /* 16 bits: Xen drops a wider write without a word. */
    uint16_t control = pci_read16(f, at + MSIX_CONTROL) & MSIX_TABLE_SIZE;
    pci_write16(f, at + MSIX_CONTROL, enable ? control | MSIX_ENABLE : control);
}

/* Functions whose drivers use their lines. */
static const struct pci_function *users[INTX_USERS];

static bool is_user(const struct pci_function *f)
{
    for (unsigned i = 0; i < INTX_USERS; i++)
        if (users[i] && users[i]->bus == f->bus && users[i]->devfn == f->devfn)
            return true;
    return false;
}

static int silence_neighbour(const struct pci_function *f, void *user)
{
    if (pci_read8(f, INTERRUPT_PIN) && !is_user(f) &&
        pci_read8(f, PCI_INTERRUPT_LINE) == pci_read8(user, PCI_INTERRUPT_LINE))
        pci_command(f, PCI_COMMAND_NO_INTX, 0);
    return 0;
}

int pci_intx_bind(const struct pci_function *f, event_handler_t *fn, void *arg, event_port_t *port)
{
    uint8_t pin = pci_read8(f, INTERRUPT_PIN), line = pci_read8(f, PCI_INTERRUPT_LINE);
    unsigned user = 0;

    /* 255: connected to nothing (PCI 3.0, 6.2.4). Firmware writes the legacy IRQ, which is the
     * number of an I/O APIC's input as well. */
    if (!pin || !line || line == 0xff)
        return -ENODEV;
    while (user < INTX_USERS && users[user])
        user++;
    if (user == INTX_USERS)
        return -ENOSPC;
    /* A device without a driver could hold the line for good. */
    pci_scan(silence_neighbour, (void *)(uintptr_t)f);
    pci_command(f, 0, PCI_COMMAND_NO_INTX);
    int error = pv_irq_bind_gsi(line, PV_IRQ_LEVEL_LOW, fn, arg, port);
    if (!error)
        users[user] = f;
    return error;
}

int pci_intx_unbind(const struct pci_function *f, event_port_t port)
{
    for (unsigned i = 0; i < INTX_USERS; i++)
        if (users[i] == f)
            users[i] = NULL;
    pci_command(f, PCI_COMMAND_NO_INTX, 0);
    return pv_irq_unbind(port);
}
