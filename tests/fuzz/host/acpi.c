/* The firmware's ACPI tables: finding them, the PM timer's port, the interrupt controllers. */
#include "tests/fuzz/host/fuzz.h"

/* Their static state is reset for each input. */
#include "pv/hypervisor/acpi.c"
#include "pv/hypervisor/ioapic.c"

void memory_map(uint64_t start, uint64_t end, int uncached)
{
    FUZZ_CHECK(start < end && uncached);
}

uint32_t apic_id(void)
{
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct boot_info info = {.rsdp_bytes = BOOT_MAX_RSDP_BYTES};
    uint32_t flags;

    root = NULL;
    nr_ioapics = 0;
    memset(isa, 0, sizeof(isa));
    if (bytes < BOOT_MAX_RSDP_BYTES)
        return 0;
    memcpy(info.rsdp, data, BOOT_MAX_RSDP_BYTES);
    boot_memory(data + BOOT_MAX_RSDP_BYTES, bytes - BOOT_MAX_RSDP_BYTES, 0);
    if (boot_try()) {
        acpi_init(&info);
        acpi_pm_timer_port();
        ioapic_init();
        for (unsigned irq = 0; irq < NR_ISA_IRQS; irq++)
            ioapic_isa_gsi(irq, &flags);
        ioapic_polarity(9, &flags);
    }
    boot_memory_free();
    return 0;
}
