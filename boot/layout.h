/*
 * Where things are: addresses, ports and register bits that assembly, C and the linker script
 * share. Only #defines, so that all three can include it.
 */
#ifndef BOOT_LAYOUT_H
#define BOOT_LAYOUT_H

/*
 * All machine memory is mapped at HYPERVISOR_BASE, and the image is linked into that map: one
 * offset turns a machine address into a virtual one, code and data alike. The slots are Xen's
 * (xen/arch-x86/xen-x86_64.h: 256..271 belong to the hypervisor).
 */
#define HYPERVISOR_BASE 0xffff830000000000
#define HYPERVISOR_L4_SLOT 262
#define IMAGE_START 0x100000

/* How boot/entry.S was entered; the values are the protocols' own magic numbers. */
#define BOOT_MAGIC_MULTIBOOT1 0x2badb002 /* Multiboot 0.6.96, 3.2: in EAX */
#define BOOT_MAGIC_MULTIBOOT2 0x36d76289 /* Multiboot 2.0, 3.2: in EAX */
#define BOOT_MAGIC_PVH 0x336ec578        /* hvm/start_info.h: first word of the structure */

/* What entry.S maps, there and (until the first page tables go) at 0. */
#define BOOT_MAPPED_BYTES 0x4000000

#define PTE_P 0x1
#define PTE_RW 0x2
#define PTE_PS 0x80

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xc0000080
#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define BOOT_CS 0x8

#define SERIAL_PORT 0x3f8
#define SERIAL_IRQ 4

/*
 * The debug console (QEMU isa-debugcon) takes lines for the machine monitor: "console" when input
 * will be heard, and how it ended, see below.
 *
 * How the end is told to the machine monitor: a line to the debug console (QEMU isa-debugcon), then
 * a value to the exit device (QEMU isa-debug-exit). Where a device is absent the write is ignored.
 */
#define DEBUG_CONSOLE_PORT 0xe9
#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_STATUS_LIMIT 0x70 /* smaller: the application's own status */
#define DEBUG_EXIT_HYPERVISOR 0x70
#define DEBUG_EXIT_CRASH 0x71
#define DEBUG_EXIT_OUT_OF_MEMORY 0x72
#define DEBUG_EXIT_STATUS_LARGE 0x7f

#endif
