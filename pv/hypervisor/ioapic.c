/* See ioapic.h. Ring 0. */
#include "pv/hypervisor/ioapic.h"
#include "pv/hypervisor/acpi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/memory.h"

#define USUAL_ADDRESS 0xfec00000u

enum { REGISTER_SELECT = 0x00, REGISTER_DATA = 0x10 };
enum { IOAPIC_VERSION = 0x01, IOAPIC_REDIRECTION = 0x10 };

#define ACTIVE_LOW (1u << 13)
#define LEVEL_TRIGGERED (1u << 15)

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

#define NR_ISA_IRQS 16

static uint64_t address;
static uint32_t nr_inputs;
/* Where the ISA interrupts arrive, and how. */
static struct {
    uint32_t gsi, flags;
} isa[NR_ISA_IRQS];

static uint32_t read_register(uint32_t index)
{
    volatile uint32_t *registers = machine_to_virtual(address);

    registers[REGISTER_SELECT / 4] = index;
    return registers[REGISTER_DATA / 4];
}

static void write_register(uint32_t index, uint32_t value)
{
    volatile uint32_t *registers = machine_to_virtual(address);

    registers[REGISTER_SELECT / 4] = index;
    registers[REGISTER_DATA / 4] = value;
}

static void read_override(const struct madt_entry *entry)
{
    uint32_t polarity = entry->override.flags & 3, trigger = entry->override.flags >> 2 & 3;

    if (entry->override.irq >= NR_ISA_IRQS)
        return;
    isa[entry->override.irq].gsi = entry->override.gsi;
    /* 5.2.12.5: 3 is active low, and level-triggered; 0 and 1 are as ISA has it. */
    isa[entry->override.irq].flags =
        (polarity == 3 ? ACTIVE_LOW : 0) | (trigger == 3 ? LEVEL_TRIGGERED : 0);
}

static void read_madt(void)
{
    const char *madt = acpi_table("APIC");
    uint32_t bytes;

    address = USUAL_ADDRESS;
    if (!madt)
        return;
    __builtin_memcpy(&bytes, madt + 4, sizeof(bytes));
    for (uint32_t at = MADT_ENTRIES; at + 2 <= bytes;) {
        const struct madt_entry *entry = (const void *)(madt + at);

        if (entry->bytes < 2 || entry->bytes > bytes - at)
            return;
        if (entry->type == MADT_IOAPIC && entry->bytes >= 12 && entry->ioapic.first_gsi == 0)
            address = entry->ioapic.address;
        if (entry->type == MADT_OVERRIDE && entry->bytes >= 10)
            read_override(entry);
        at += entry->bytes;
    }
}

void ioapic_init(void)
{
    for (unsigned int irq = 0; irq < NR_ISA_IRQS; irq++)
        isa[irq].gsi = irq;
    read_madt();
    memory_map(address, address + PAGE_BYTES, 1);

    uint32_t version = read_register(IOAPIC_VERSION);

    if (version != UINT32_MAX && version != 0)
        nr_inputs = (version >> 16 & 0xff) + 1;
}

int ioapic_route_isa(unsigned int irq, uint8_t vector)
{
    uint32_t gsi = isa[irq].gsi;

    if (gsi >= nr_inputs)
        return -ENODEV;
    write_register(IOAPIC_REDIRECTION + 2 * gsi + 1, apic_id() << 24);
    write_register(IOAPIC_REDIRECTION + 2 * gsi, vector | isa[irq].flags);
    return 0;
}
