/*
 * The part of reading a boot protocol's information that the protocols share. Called from
 * hypervisor_main() through boot_read(), once, ring 0, no locks.
 */
#include "boot/boot.h"

void boot_add_ram(struct boot_info *info, uint64_t start, uint64_t bytes)
{
    uint64_t end = start + bytes;

    if (end < start)
        boot_fail("%s memory map: range at %#lx of %#lx bytes wraps around", info->protocol, start,
                  bytes);
    /* Whole pages only; the last page below 2^64 has no end that can be told. */
    end &= ~0xffful;
    if (start > end)
        return;
    start = (start + 0xfff) & ~0xffful;
    if (start >= end)
        return;
    for (unsigned int i = 0; i < info->nr_ram; i++)
        if (start < info->ram[i].end && info->ram[i].start < end)
            boot_fail("%s memory map: range %#lx-%#lx overlaps %#lx-%#lx", info->protocol, start,
                      end, info->ram[i].start, info->ram[i].end);
    if (info->nr_ram == BOOT_MAX_MEMORY_RANGES)
        boot_fail("%s memory map: more than %d ranges of RAM", info->protocol,
                  BOOT_MAX_MEMORY_RANGES);
    info->ram[info->nr_ram++] = (struct boot_range){start, end};
}

void boot_add_module(struct boot_info *info, uint64_t start, uint64_t end, const char *text)
{
    if (end < start)
        boot_fail("%s module %u: ends (%#lx) before it starts (%#lx)", info->protocol,
                  info->nr_modules, end, start);
    if (info->nr_modules == BOOT_MAX_MODULES)
        boot_fail("%s: more than %d modules: at most a guest and its initrd", info->protocol,
                  BOOT_MAX_MODULES);

    struct boot_module *module = &info->modules[info->nr_modules++];

    module->bytes = (struct boot_range){start, end};
    boot_copy_command_line(module->command_line, text);
}

void boot_copy_command_line(char to[BOOT_COMMAND_LINE_BYTES], const char *from)
{
    size_t i = 0;

    if (from) {
        for (; from[i]; i++) {
            if (i == BOOT_COMMAND_LINE_BYTES - 1)
                boot_fail("command line longer than %d bytes", BOOT_COMMAND_LINE_BYTES - 1);
            to[i] = from[i];
        }
    }
    to[i] = 0;
}

void boot_copy_rsdp(struct boot_info *info, const void *rsdp, unsigned int bytes)
{
    if (bytes > BOOT_MAX_RSDP_BYTES)
        bytes = BOOT_MAX_RSDP_BYTES;
    for (unsigned int i = 0; i < bytes; i++)
        info->rsdp[i] = ((const unsigned char *)rsdp)[i];
    info->rsdp_bytes = bytes;
}

void boot_read(uint32_t magic, uint32_t addr, struct boot_info *info)
{
    switch (magic) {
    case BOOT_MAGIC_MULTIBOOT1:
        info->protocol = "Multiboot";
        boot_read_multiboot1(addr, info);
        break;
    case BOOT_MAGIC_MULTIBOOT2:
        info->protocol = "Multiboot 2";
        boot_read_multiboot2(addr, info);
        break;
    case BOOT_MAGIC_PVH:
        info->protocol = "PVH";
        boot_read_pvh(addr, info);
        break;
    default:
        boot_fail("entered by an unknown boot protocol (EAX %#x)", magic);
    }
    if (info->nr_ram == 0)
        boot_fail("%s: the loader gave no memory map", info->protocol);
}
