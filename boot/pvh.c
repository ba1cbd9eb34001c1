/* PVH: xen/arch-x86/hvm/start_info.h. Ring 0, called once from boot_read(). */
#include "boot/boot.h"
#include <stdint.h>
#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>

_Static_assert(BOOT_MAGIC_PVH == XEN_HVM_START_MAGIC_VALUE, "PVH magic");

static const char *text_at(uint64_t addr)
{
    return addr ? boot_map(addr, BOOT_COMMAND_LINE_BYTES) : NULL;
}

void boot_read_pvh(uint64_t addr, struct boot_info *info)
{
    const struct hvm_start_info *start = boot_map(addr, sizeof(*start));

    if (start->magic != XEN_HVM_START_MAGIC_VALUE)
        boot_fail("PVH start_info: bad magic %#x", start->magic);
    if (start->version < 1)
        boot_fail("PVH start_info: version %u has no memory map", start->version);

    const struct hvm_memmap_table_entry *map =
        boot_map(start->memmap_paddr, start->memmap_entries * sizeof(*map));

    for (uint32_t i = 0; i < start->memmap_entries; i++)
        if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
            boot_add_ram(info, map[i].addr, map[i].size);

    const struct hvm_modlist_entry *modules =
        boot_map(start->modlist_paddr, start->nr_modules * sizeof(*modules));

    for (uint32_t i = 0; i < start->nr_modules; i++)
        boot_add_module(info, modules[i].paddr, modules[i].paddr + modules[i].size,
                        text_at(modules[i].cmdline_paddr));
    boot_copy_command_line(info->command_line, text_at(start->cmdline_paddr));
    if (start->rsdp_paddr)
        boot_copy_rsdp(info, boot_map(start->rsdp_paddr, BOOT_MAX_RSDP_BYTES), BOOT_MAX_RSDP_BYTES);
}
