/*
 * What a boot protocol tells the hypervisor, whichever protocol it was.
 *
 * boot_read() (ring 0, once, before any allocation) turns the Multiboot 1, Multiboot 2 or PVH
 * information into one boot_info. Everything is copied, so the loader's own structures may be
 * overwritten afterwards; only the modules' bytes stay where the loader put them. What a loader
 * says is input: it is checked, and boot_fail() names what is wrong.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdint.h>
#include <stddef.h>
#include "boot/layout.h"

#define BOOT_MAX_MEMORY_RANGES 64
#define BOOT_MAX_MODULES 2
#define BOOT_COMMAND_LINE_BYTES 1024
#define BOOT_MAX_RSDP_BYTES 36 /* ACPI 6.4, 5.2.5.3 */

struct boot_range {
    uint64_t start, end; /* machine addresses, end exclusive */
};

struct boot_module {
    struct boot_range bytes;
    char command_line[BOOT_COMMAND_LINE_BYTES]; /* NUL-terminated */
};

struct boot_info {
    const char *protocol; /* for messages */
    unsigned int nr_ram;  /* usable RAM, in the loader's order */
    struct boot_range ram[BOOT_MAX_MEMORY_RANGES];
    char command_line[BOOT_COMMAND_LINE_BYTES];
    unsigned int nr_modules;
    struct boot_module modules[BOOT_MAX_MODULES];
    unsigned int rsdp_bytes; /* of the ACPI RSDP below; 0 when the loader did not say */
    unsigned char rsdp[BOOT_MAX_RSDP_BYTES];
};

/*
 * Fill *info from the loader's structure at machine address `addr`, of the kind that `magic` says.
 * Does not return on a structure that cannot be used.
 */
void boot_read(uint32_t magic, uint32_t addr, struct boot_info *info);

/* For the protocols' readers (one file each). */
void boot_read_multiboot1(uint64_t addr, struct boot_info *info);
void boot_read_multiboot2(uint64_t addr, struct boot_info *info);
void boot_read_pvh(uint64_t addr, struct boot_info *info);

void boot_add_ram(struct boot_info *info, uint64_t start, uint64_t bytes);
void boot_add_module(struct boot_info *info, uint64_t start, uint64_t end, const char *text);
void boot_copy_rsdp(struct boot_info *info, const void *rsdp, unsigned int bytes);
void boot_copy_command_line(char to[BOOT_COMMAND_LINE_BYTES], const char *from);

/*
 * Provided by the hypervisor: the address at which `bytes` bytes of machine memory can be read, or
 * no return where nothing can be mapped (above 4 GiB this early).
 */
const void *boot_map(uint64_t addr, uint64_t bytes);
/* Prints one line and ends the machine with the status for "did not boot". printf-like: see
 * print.h of the hypervisor for the few conversions known. */
_Noreturn void boot_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
