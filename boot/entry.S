/*
 * Boot entries: Multiboot 1, Multiboot 2 and PVH, all in 32-bit protected mode with paging off,
 * up to hypervisor_main() in long mode. Ring 0. Runs once, on the boot CPU.
 *
 * Sources: Multiboot 0.6.96 3.1-3.2; Multiboot 2.0 3.1-3.2; xen/arch-x86/hvm/start_info.h;
 * Intel SDM vol. 3A 9.8.5 (entering long mode).
 */
#include "boot/layout.h"
#include "pv/hypervisor/offsets.h"

#define PA(symbol) ((symbol) - HYPERVISOR_BASE)

#define MB1_MAGIC 0x1badb002
#define MB1_PAGE_ALIGN_AND_MEMORY 0x3
#define MB1_ADDRESSES 0x10000
#define MB2_MAGIC 0xe85250d6

    .section .boot.headers, "a"
/*
 * The same Multiboot 1 header once more with load addresses, as QEMU's -kernel needs them for an
 * ELF64 file, but disabled: QEMU would prefer it to the much faster PVH. tools/parvus enables it
 * (the magic's complement becomes the magic) for --boot multiboot.
 */
    .balign 4
disabled_header:
    .long ~MB1_MAGIC
    .long MB1_PAGE_ALIGN_AND_MEMORY | MB1_ADDRESSES
    .long -(MB1_MAGIC + (MB1_PAGE_ALIGN_AND_MEMORY | MB1_ADDRESSES))
    .long disabled_header
    .long image_start
    .long PA(image_load_end)
    .long PA(image_end)
    .long boot_multiboot

    .balign 8
multiboot2_header:
    .long MB2_MAGIC
    .long 0 /* i386, protected mode */
    .long multiboot2_end - multiboot2_header
    .long -(MB2_MAGIC + (multiboot2_end - multiboot2_header))
    .short 6, 0 /* modules page-aligned */
    .long 8
    .short 0, 0 /* end */
    .long 8
multiboot2_end:

/*
 * Multiboot 1 asks for its header within the first 8 KiB of the file. This section begins at file
 * offset 4 KiB; at the last possible place GRUB finds the header and QEMU, which stops looking 48
 * bytes before the end, does not (see above).
 */
    .section .boot.header1, "a"
    .long MB1_MAGIC
    .long MB1_PAGE_ALIGN_AND_MEMORY
    .long -(MB1_MAGIC + MB1_PAGE_ALIGN_AND_MEMORY)

    .section .note.boot, "a", @note
    .balign 4
    .long 4, 8, 18 /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY (xen/elfnote.h) */
    .asciz "Xen"
    .quad boot_pvh

    .section .boot.text, "ax"
    .code32
    .globl boot_multiboot
boot_pvh:
    movl $BOOT_MAGIC_PVH, %eax
boot_multiboot:
    cli
    cld
    movl %eax, %ebp /* magic and loader information survive CPUID in ebp, esi */
    movl %ebx, %esi
    movl $PA(boot_cpu), %esp

    /* CPUID itself: EFLAGS.ID can be flipped (SDM vol. 1, 19.1). */
    pushfl
    popl %eax
    movl %eax, %ecx
    xorl $1 << 21, %eax
    pushl %eax
    popfl
    pushfl
    popl %eax
    cmpl %eax, %ecx
    movl $no_cpuid, %edi
    je boot_die
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    movl $no_long_mode, %edi
    jb boot_die
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc boot_die
    movl $no_nx, %edi
    btl $20, %edx
    jnc boot_die
    movl $1, %eax
    cpuid
    movl $no_apic, %edi
    btl $9, %edx
    jnc boot_die
    movl $no_tsc, %edi
    btl $4, %edx
    jnc boot_die

    /*
     * Page tables: the first 64 MiB at 0 (until the jump below) and at HYPERVISOR_BASE. The
     * hypervisor widens the latter as it learns what memory there is.
     */
    movl $PA(boot_l3) + PTE_P + PTE_RW, %eax
    movl %eax, PA(boot_l4)
    movl %eax, PA(boot_l4) + 8 * HYPERVISOR_L4_SLOT
    movl $PA(boot_l2) + PTE_P + PTE_RW, PA(boot_l3)
    movl $PA(boot_l2), %edi
    movl $PTE_P + PTE_RW + PTE_PS, %eax
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $BOOT_MAPPED_BYTES, %eax
    jb 1b

    movl $CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT, %eax /* and nothing of the loader's */
    movl %eax, %cr4
    movl $PA(boot_l4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_SCE | EFER_LME | EFER_NXE, %eax
    wrmsr
    movl $CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $BOOT_CS, $1f

    .code64
1:  movabsq $2f, %rax
    jmpq *%rax

    .section .text
2:  leaq boot_cpu - FRAME_BYTES(%rip), %rsp /* this CPU's stack, below the guest's frame */
    movl %ebp, %edi
    movl %esi, %esi
    xorl %eax, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    xorl %ebp, %ebp
    call hypervisor_main
    ud2

/* boot_die: edi = message. One line on the serial port, the exit protocol's line, and the end. */
    .section .boot.text, "ax"
    .code32
boot_die:
    movl %edi, %esi
    call print_serial
    movl $exit_line, %esi
    movw $DEBUG_CONSOLE_PORT, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  movw $DEBUG_EXIT_PORT, %dx
    movl $DEBUG_EXIT_HYPERVISOR, %eax
    outl %eax, %dx
3:  hlt
    jmp 3b

print_serial:
    lodsb
    testb %al, %al
    jz 2f
    movb %al, %bl
    movw $SERIAL_PORT + 5, %dx
    movl $100000, %ecx /* no transmitter: give up rather than hang */
1:  inb %dx, %al
    testb $0x20, %al
    loopz 1b
    movb %bl, %al
    movw $SERIAL_PORT, %dx
    outb %al, %dx
    jmp print_serial
2:  ret

    .section .boot.rodata, "a"
no_cpuid:     .asciz "parvus: cannot boot: this CPU has no CPUID\n"
no_long_mode: .asciz "parvus: cannot boot: this CPU has no 64-bit mode (long mode)\n"
no_nx:        .asciz "parvus: cannot boot: this CPU has no NX bit\n"
no_apic:      .asciz "parvus: cannot boot: this CPU has no local APIC\n"
no_tsc:       .asciz "parvus: cannot boot: this CPU has no time stamp counter\n"
exit_line:    .asciz "hypervisor\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00209b0000000000 /* 64-bit code, ring 0 */
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .long boot_gdt

    .section .bss.boot, "aw", @nobits
    .balign 4096
    .globl boot_l4, boot_l3, boot_l2
boot_l4: .skip 4096
boot_l3: .skip 4096
boot_l2: .skip 4 * 4096 /* 4 GiB */

