/* See msi.h. */
#include "pv/hypervisor/msi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/memory.h"

/* Intel SDM vol. 3A, 10.11: fixed delivery, edge, physical destination. */
#define MESSAGE_ADDRESS 0xfee00000u
#define MESSAGE_DESTINATION(apic) ((apic) << 12)

/* Offsets in the capabilities and their control words. */
#define CONTROL 2
#define MSI_ADDRESS 4
#define MSI_64BIT 0x80
#define MSI_MASKABLE 0x100
#define MSI_MULTIPLE 0x70 /* how many messages are enabled, as a power of two */
#define MSIX_TABLE 4
#define MSIX_SIZE 0x7ff
#define MSIX_MASK_ALL 0x4000
#define MSIX_ENABLE 0x8000
#define MSIX_BIR 0x7

/* An entry of the table. */
enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL, ENTRY_WORDS };
#define ENTRY_BYTES (4ul * ENTRY_WORDS)
#define ENTRY_MASKED 1u

static uint16_t control_of(const struct msi_source *source)
{
    return pci_read16(source->function, source->capability + CONTROL);
}

/* --- MSI-X ---------------------------------------------------------------------------------- */

int msi_find_entry(pci_id_t function, int entry, uint64_t table, struct msi_source *out)
{
    if (!pci_is_there(function))
        return -ENODEV;
    *out = (struct msi_source){.function = function, .is_msix = 1};
    out->capability = (uint8_t)pci_capability(function, PCI_CAPABILITY_MSIX);
    if (!out->capability)
        return -ENODEV;
    if (entry < 0 || entry > (control_of(out) & MSIX_SIZE))
        return -EINVAL;

    uint32_t where = pci_read32(function, out->capability + MSIX_TABLE);
    uint64_t bar = pci_bar(function, where & MSIX_BIR);

    if (!bar || !pci_decodes_memory(function))
        return -ENXIO;
    out->entry = bar + (where & ~MSIX_BIR) + (uint32_t)entry * ENTRY_BYTES;
    /* The guest can move a BAR over anything: what is written must be nothing but a device's. */
    if (table != bar || !memory_is_device(out->entry, ENTRY_BYTES))
        return -EINVAL;
    return 0;
}

static volatile uint32_t *table_entry(const struct msi_source *source)
{
    return memory_window(source->entry);
}

/* Some devices show their table only while MSI-X is enabled; all of it masked does no harm. */
static uint16_t open_table(const struct msi_source *source)
{
    uint16_t control = control_of(source);

    pci_write16(source->function, source->capability + CONTROL,
                control | MSIX_ENABLE | MSIX_MASK_ALL);
    return control;
}

static void close_table(const struct msi_source *source, uint16_t control)
{
    pci_write16(source->function, source->capability + CONTROL, control);
}

static void write_entry(const struct msi_source *source, uint8_t vector)
{
    uint16_t control = open_table(source);
    volatile uint32_t *entry = table_entry(source);

    entry[ENTRY_CONTROL] = ENTRY_MASKED; /* first: 6.8.2.9 has a changing entry masked */
    entry[ENTRY_ADDRESS] = MESSAGE_ADDRESS | MESSAGE_DESTINATION(apic_id());
    entry[ENTRY_ADDRESS_HIGH] = 0;
    entry[ENTRY_DATA] = vector;
    close_table(source, control);
}

static void mask_entry(const struct msi_source *source, int masked)
{
    uint16_t control = open_table(source);

    table_entry(source)[ENTRY_CONTROL] = masked ? ENTRY_MASKED : 0;
    close_table(source, control);
}

/* --- MSI ------------------------------------------------------------------------------------ */

int msi_find(pci_id_t function, struct msi_source *out)
{
    if (!pci_is_there(function))
        return -ENODEV;
    *out = (struct msi_source){.function = function};
    out->capability = (uint8_t)pci_capability(function, PCI_CAPABILITY_MSI);
    return out->capability ? 0 : -ENODEV;
}

static void write_capability(const struct msi_source *source, uint8_t vector)
{
    uint16_t control = control_of(source);
    unsigned int at = source->capability + MSI_ADDRESS;

    pci_write16(source->function, source->capability + CONTROL, control & ~MSI_MULTIPLE);
    pci_write32(source->function, at, MESSAGE_ADDRESS | MESSAGE_DESTINATION(apic_id()));
    if (control & MSI_64BIT) {
        pci_write32(source->function, at + 4, 0);
        at += 4;
    }
    pci_write16(source->function, at + 4, vector);
}

static void mask_capability(const struct msi_source *source, int masked)
{
    uint16_t control = control_of(source);

    if (control & MSI_MASKABLE)
        pci_write32(source->function, source->capability + (control & MSI_64BIT ? 0x10u : 0x0cu),
                    masked ? 1 : 0);
}

/* --- Either --------------------------------------------------------------------------------- */

void msi_write(const struct msi_source *source, uint8_t vector)
{
    if (source->is_msix) {
        write_entry(source, vector);
    } else {
        mask_capability(source, 1);
        write_capability(source, vector);
    }
}

void msi_mask(const struct msi_source *source, int masked)
{
    if (source->is_msix)
        mask_entry(source, masked);
    else
        mask_capability(source, masked);
}
