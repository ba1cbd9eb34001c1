/* See acpi.h. The tables are the firmware's, hence input: lengths and checksums are checked. */
#include "pv/hypervisor/acpi.h"
#include "pv/hypervisor/memory.h"

struct rsdp { /* 5.2.5.3 */
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t bytes;
    uint64_t xsdt;
} __attribute__((packed));

struct header { /* 5.2.6 */
    char signature[4];
    uint32_t bytes;
    uint8_t revision, checksum;
    char rest[26];
} __attribute__((packed));

#define FADT_PM_TIMER_BLOCK 76 /* 5.2.9 */
#define FADT_PM_TIMER_BYTES 91
#define MAX_TABLE_BYTES 0x100000u
#define LIMIT (4ul << 30) /* what can be mapped this early; firmware keeps its tables below */

static const struct header *root;
static unsigned int entry_bytes;

static const struct header *read_table(uint64_t addr)
{
    if (addr == 0 || addr >= LIMIT - sizeof(struct header))
        return NULL;

    const struct header *table = boot_map(addr, sizeof(*table));

    if (table->bytes < sizeof(*table) || table->bytes > MAX_TABLE_BYTES ||
        addr + table->bytes > LIMIT)
        return NULL;

    const uint8_t *bytes = boot_map(addr, table->bytes);
    uint8_t sum = 0;

    for (uint32_t i = 0; i < table->bytes; i++)
        sum += bytes[i];
    return sum == 0 ? (const void *)bytes : NULL;
}

void acpi_init(const struct boot_info *info)
{
    const struct rsdp *rsdp = (const void *)info->rsdp;

    if (info->rsdp_bytes < offsetof(struct rsdp, bytes) ||
        __builtin_memcmp(rsdp->signature, "RSD PTR ", 8) != 0)
        return;
    if (rsdp->revision >= 2 && info->rsdp_bytes >= sizeof(*rsdp) && rsdp->xsdt) {
        root = read_table(rsdp->xsdt);
        entry_bytes = 8;
    } else {
        root = read_table(rsdp->rsdt);
        entry_bytes = 4;
    }
}

const void *acpi_table(const char *signature)
{
    if (!root)
        return NULL;
    for (uint32_t at = sizeof(*root); at + entry_bytes <= root->bytes; at += entry_bytes) {
        uint64_t addr = 0;

        __builtin_memcpy(&addr, (const char *)root + at, entry_bytes);

        const struct header *table = read_table(addr);

        if (table && __builtin_memcmp(table->signature, signature, 4) == 0)
            return table;
    }
    return NULL;
}

uint16_t acpi_pm_timer_port(void)
{
    const struct header *fadt = acpi_table("FACP");
    uint32_t port;

    if (!fadt || fadt->bytes <= FADT_PM_TIMER_BYTES ||
        ((const uint8_t *)fadt)[FADT_PM_TIMER_BYTES] != 4)
        return 0;
    __builtin_memcpy(&port, (const char *)fadt + FADT_PM_TIMER_BLOCK, sizeof(port));
    return port <= 0xffff ? (uint16_t)port : 0;
}
