/*
 * The image's layout: the 32-bit boot code at its machine address, everything else in the map of
 * machine memory at HYPERVISOR_BASE. File offsets and machine addresses advance together (from 4
 * KiB and IMAGE_START), as the Multiboot header with addresses demands.
 */
#include "boot/layout.h"

OUTPUT_FORMAT(elf64-x86-64)
ENTRY(boot_multiboot)

PHDRS
{
    boot PT_LOAD FLAGS(5);
    note PT_NOTE FLAGS(4);
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
}

SECTIONS
{
    . = IMAGE_START;
    image_start = .;
    .boot : {
        KEEP(*(.boot.headers))
        *(.boot.text)
        *(.boot.rodata)
        . = 0xff4;
        KEEP(*(.boot.header1))
    } :boot
    ASSERT(SIZEOF(.boot) == 0x1000, "boot code does not fit before the Multiboot 1 header")

    . = HYPERVISOR_BASE + IMAGE_START + SIZEOF(.boot);
    image_text = .;
    .text : AT(ADDR(.text) - HYPERVISOR_BASE) { *(.text .text.*) } :text

    . = ALIGN(4096);
    image_rodata = .;
    .rodata : AT(ADDR(.rodata) - HYPERVISOR_BASE) {
        *(.rodata .rodata.*)
        . = ALIGN(8);
        fixups_start = .;
        KEEP(*(.fixups))
        fixups_end = .;
    } :rodata
    .note.boot : AT(ADDR(.note.boot) - HYPERVISOR_BASE) { KEEP(*(.note.boot)) } :rodata :note

    . = ALIGN(4096);
    image_data = .;
    .data : AT(ADDR(.data) - HYPERVISOR_BASE) { *(.data .data.*) } :data
    /* The guest's bytes are needed only until the domain is built; then their frames are its. */
    .guest : AT(ADDR(.guest) - HYPERVISOR_BASE) {
        . = ALIGN(16);
        guest_start = .;
        KEEP(*(.guest))
        guest_end = .;
    } :data
    image_load_end = .;
    .bss (NOLOAD) : AT(ADDR(.bss) - HYPERVISOR_BASE) {
        image_bss = .;
        *(.bss .bss.*)
        . = ALIGN(4096);
    } :data
    image_end = .;
    ASSERT(image_end - HYPERVISOR_BASE <= BOOT_MAPPED_BYTES, "the image is larger than the boot code maps")

    /DISCARD/ : { *(.comment) *(.note.GNU-stack) *(.eh_frame) *(.note.gnu.property) }
}
