/* Multiboot 0.6.96, section 3.3 (boot information format). Ring 0, called once from boot_read(). */
#include "boot/boot.h"

#define MBI_COMMAND_LINE (1u << 2)
#define MBI_MODULES (1u << 3)
#define MBI_MEMORY_MAP (1u << 6)
#define MBI_LOADER_NAME (1u << 9)

struct multiboot1_info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper;
    uint32_t boot_device;
    uint32_t command_line;
    uint32_t nr_modules, modules;
    uint32_t symbols[4];
    uint32_t map_bytes, map;
    uint32_t drives_bytes, drives;
    uint32_t config_table;
    uint32_t loader_name;
};

struct multiboot1_module {
    uint32_t start, end;
    uint32_t text;
    uint32_t reserved;
};

struct multiboot1_range {
    uint32_t size; /* of the entry, this field not included */
    uint64_t start, bytes;
    uint32_t type;
} __attribute__((packed));

#define MULTIBOOT1_RAM 1
#define MAX_FILE_NAME_BYTES 4096

static int starts_with(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return 1;
}

/* The text at an address. QEMU puts the file's name before it, GRUB does not (neither does 3.3 say
 * so). */
static const char *text_at(uint32_t addr, int is_qemu)
{
    const char *text = boot_map(addr, MAX_FILE_NAME_BYTES + BOOT_COMMAND_LINE_BYTES);
    unsigned int i = 0;

    if (!is_qemu)
        return text;
    while (i < MAX_FILE_NAME_BYTES && text[i] && text[i] != ' ')
        i++;
    while (i < MAX_FILE_NAME_BYTES && text[i] == ' ')
        i++;
    if (i == MAX_FILE_NAME_BYTES)
        boot_fail("Multiboot: a file's name longer than %d bytes", MAX_FILE_NAME_BYTES - 1);
    return text + i;
}

void boot_read_multiboot1(uint64_t addr, struct boot_info *info)
{
    const struct multiboot1_info *mbi = boot_map(addr, sizeof(*mbi));
    int is_qemu =
        (mbi->flags & MBI_LOADER_NAME) && starts_with(boot_map(mbi->loader_name, 5), "qemu");

    if (!(mbi->flags & MBI_MEMORY_MAP))
        boot_fail("Multiboot: the loader gave no memory map (flags %#x)", mbi->flags);

    const char *map = boot_map(mbi->map, mbi->map_bytes);

    for (uint32_t offset = 0; offset + sizeof(struct multiboot1_range) <= mbi->map_bytes;) {
        const struct multiboot1_range *range = (const void *)(map + offset);

        if (range->size < sizeof(*range) - sizeof(range->size))
            boot_fail("Multiboot memory map: entry of %u bytes", range->size);
        if (range->type == MULTIBOOT1_RAM)
            boot_add_ram(info, range->start, range->bytes);
        if (range->size > mbi->map_bytes - offset)
            break;
        offset += range->size + sizeof(range->size);
    }

    if (mbi->flags & MBI_MODULES) {
        const struct multiboot1_module *modules =
            boot_map(mbi->modules, (uint64_t)mbi->nr_modules * sizeof(*modules));

        for (uint32_t i = 0; i < mbi->nr_modules; i++) {
            const char *text = modules[i].text ? text_at(modules[i].text, is_qemu) : "";

            boot_add_module(info, modules[i].start, modules[i].end, text);
        }
    }
    if (mbi->flags & MBI_COMMAND_LINE)
        boot_copy_command_line(info->command_line, text_at(mbi->command_line, is_qemu));
}
