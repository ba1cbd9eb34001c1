/* Multiboot 2.0, section 3.6 (boot information). Ring 0, called once from boot_read(). */
#include "boot/boot.h"

enum {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_1 = 14,
    TAG_RSDP_2 = 15,
};

struct tag {
    uint32_t type, size;
    union {
        char text[1];
        struct {
            uint32_t start, end;
            char text[1];
        } module;
        struct {
            uint32_t entry_size, entry_version;
            char entries[];
        } map;
    };
};

struct range {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

#define MULTIBOOT2_RAM 1

static void read_map(const struct tag *tag, struct boot_info *info)
{
    if (tag->map.entry_size < sizeof(struct range))
        boot_fail("Multiboot 2 memory map: entries of %u bytes", tag->map.entry_size);
    for (uint32_t offset = 16; tag->map.entry_size <= tag->size - offset;
         offset += tag->map.entry_size) {
        const struct range *range = (const void *)((const char *)tag + offset);

        if (range->type == MULTIBOOT2_RAM)
            boot_add_ram(info, range->start, range->bytes);
    }
}

/* Its fixed part is there, and a text at its end ends in it. */
static void check_tag(const struct tag *tag, uint32_t offset)
{
    int has_text = tag->type == TAG_COMMAND_LINE || tag->type == TAG_MODULE;
    uint32_t least = tag->type == TAG_MODULE || tag->type == TAG_MEMORY_MAP ? 16 : 8;

    if (tag->size < least + has_text || (has_text && ((const char *)tag)[tag->size - 1] != 0))
        boot_fail("Multiboot 2: tag %u at offset %u is malformed (%u bytes)", tag->type, offset,
                  tag->size);
}

void boot_read_multiboot2(uint64_t addr, struct boot_info *info)
{
    uint32_t bytes = *(const uint32_t *)boot_map(addr, 8);
    const char *tags = boot_map(addr, bytes);
    uint32_t offset = 8;

    while (offset + 8 <= bytes) {
        const struct tag *tag = (const void *)(tags + offset);

        if (tag->type == TAG_END)
            return;
        if (tag->size < 8 || tag->size > bytes - offset)
            boot_fail("Multiboot 2: tag %u at offset %u has a size of %u", tag->type, offset,
                      tag->size);
        check_tag(tag, offset);
        switch (tag->type) {
        case TAG_COMMAND_LINE:
            boot_copy_command_line(info->command_line, tag->text);
            break;
        case TAG_MODULE:
            boot_add_module(info, tag->module.start, tag->module.end, tag->module.text);
            break;
        case TAG_MEMORY_MAP:
            read_map(tag, info);
            break;
        case TAG_RSDP_1:
        case TAG_RSDP_2:
            boot_copy_rsdp(info, tag->text, tag->size - 8);
            break;
        }
        offset = (offset + tag->size + 7) & ~7u;
    }
    boot_fail("Multiboot 2: the loader's tags have no end");
}
