/* See ioapic.h. Ring 0. */
#include "pv/hypervisor/ioapic.h"
#include "pv/hypervisor/acpi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/memory.h"

#define USUAL_ADDRESS 0xfec00000u

enum { REGISTER_SELECT = 0x00, REGISTER_DATA = 0x10 };
enum { IOAPIC_VERSION = 0x01, IOAPIC_REDIRECTION = 0x10 };

enum { MADT_IOAPIC = 1, MADT_OVERRIDE = 2 };
#define MADT_ENTRIES 44 /* offset of the first entry */

struct madt_entry {
    uint8_t type, bytes;
    union {
        struct {
            uint8_t id, reserved;
            uint32_t address, first_gsi;
        } __attribute__((packed)) ioapic;
        struct {
            uint8_t bus, irq;
            uint32_t gsi;
            uint16_t flags;
        } __attribute__((packed)) override;
    };
} __attribute__((packed));

#define MAX_IOAPICS 16
#define NR_ISA_IRQS 16

struct ioapic {
    uint32_t address, first_gsi, nr_inputs;
    uint32_t selected; /* the index that REGISTER_SELECT holds */
};

static struct ioapic ioapics[MAX_IOAPICS];
static unsigned int nr_ioapics;
static int are_counted; /* nr_inputs is known: asked at first need, as boot should be short */

/* Where the ISA interrupts arrive, and how. */
static struct {
    uint32_t gsi, flags;
    int has_polarity;
} isa[NR_ISA_IRQS];

/* Nobody else uses the I/O APICs: an index stays selected. */
static volatile uint32_t *data_register(struct ioapic *ioapic, uint32_t index)
{
    volatile uint32_t *registers = machine_to_virtual(ioapic->address);

    if (ioapic->selected != index) {
        registers[REGISTER_SELECT / 4] = index;
        ioapic->selected = index;
    }
    return &registers[REGISTER_DATA / 4];
}

static void add_ioapic(uint32_t address, uint32_t first_gsi)
{
    if (nr_ioapics == MAX_IOAPICS)
        return;
    memory_map(address, address + PAGE_BYTES, 1);
    ioapics[nr_ioapics++] =
        (struct ioapic){.address = address, .first_gsi = first_gsi, .selected = UINT32_MAX};
}

static void read_override(const struct madt_entry *entry)
{
    uint32_t polarity = entry->override.flags & 3, trigger = entry->override.flags >> 2 & 3;

    if (entry->override.irq >= NR_ISA_IRQS)
        return;
    isa[entry->override.irq].gsi = entry->override.gsi;
    /* 5.2.12.5: 3 is active low, and level-triggered; 0 and 1 are as ISA has it. */
    isa[entry->override.irq].flags =
        (polarity == 3 ? IOAPIC_ACTIVE_LOW : 0) | (trigger == 3 ? IOAPIC_LEVEL : 0);
    isa[entry->override.irq].has_polarity = polarity != 0;
}

static void read_madt(const char *madt)
{
    uint32_t bytes;

    __builtin_memcpy(&bytes, madt + 4, sizeof(bytes));
    for (uint32_t at = MADT_ENTRIES; at + 2 <= bytes;) {
        const struct madt_entry *entry = (const void *)(madt + at);

        if (entry->bytes < 2 || entry->bytes > bytes - at)
            return;
        if (entry->type == MADT_IOAPIC && entry->bytes >= 12)
            add_ioapic(entry->ioapic.address, entry->ioapic.first_gsi);
        if (entry->type == MADT_OVERRIDE && entry->bytes >= 10)
            read_override(entry);
        at += entry->bytes;
    }
}

void ioapic_init(void)
{
    const char *madt = acpi_table("APIC");

    for (unsigned int irq = 0; irq < NR_ISA_IRQS; irq++)
        isa[irq].gsi = irq;
    if (madt)
        read_madt(madt);
    else
        add_ioapic(USUAL_ADDRESS, 0);
}

static void count_inputs(void)
{
    for (struct ioapic *ioapic = ioapics; ioapic < ioapics + nr_ioapics; ioapic++) {
        uint32_t version = *data_register(ioapic, IOAPIC_VERSION);

        if (version != UINT32_MAX && version != 0)
            ioapic->nr_inputs = (version >> 16 & 0xff) + 1;
    }
    are_counted = 1;
}

static struct ioapic *find(unsigned int gsi)
{
    if (!are_counted)
        count_inputs();
    for (struct ioapic *ioapic = ioapics; ioapic < ioapics + nr_ioapics; ioapic++)
        if (gsi - ioapic->first_gsi < ioapic->nr_inputs)
            return ioapic;
    return NULL;
}

unsigned int ioapic_nr_gsis(void)
{
    unsigned int limit = 0;

    if (!are_counted)
        count_inputs();
    for (const struct ioapic *ioapic = ioapics; ioapic < ioapics + nr_ioapics; ioapic++)
        if (ioapic->nr_inputs && ioapic->first_gsi + ioapic->nr_inputs > limit)
            limit = ioapic->first_gsi + ioapic->nr_inputs;
    return limit;
}

int ioapic_route(unsigned int gsi, uint32_t entry)
{
    struct ioapic *ioapic = find(gsi);

    if (!ioapic)
        return -ENODEV;
    *data_register(ioapic, IOAPIC_REDIRECTION + 2 * (gsi - ioapic->first_gsi) + 1) = apic_id()
                                                                                     << 24;
    ioapic_set(gsi, entry);
    return 0;
}

void ioapic_set(unsigned int gsi, uint32_t entry)
{
    struct ioapic *ioapic = find(gsi);

    *data_register(ioapic, IOAPIC_REDIRECTION + 2 * (gsi - ioapic->first_gsi)) = entry;
}

unsigned int ioapic_isa_gsi(unsigned int irq, uint32_t *flags)
{
    *flags = isa[irq].flags;
    return isa[irq].gsi;
}

int ioapic_polarity(unsigned int gsi, uint32_t *flags)
{
    for (unsigned int irq = 0; irq < NR_ISA_IRQS; irq++) {
        if (isa[irq].gsi == gsi && isa[irq].has_polarity) {
            *flags = isa[irq].flags & IOAPIC_ACTIVE_LOW;
            return 1;
        }
    }
    return 0;
}
