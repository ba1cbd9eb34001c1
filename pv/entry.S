/*
 * Guest entry points: ELF notes, start of day, event callback, failsafe callback, exceptions.
 *
 * Runs in ring 3. Called by the hypervisor only. Locks: none; entries come with events masked.
 *
 * Frames. The hypervisor pushes, on the current stack (16-byte aligned first), as Xen does for a
 * guest kernel: ss, rsp, rflags, cs, rip, [error code], r11, rcx. It clears the RPL of the saved
 * cs ("kernel mode"); since kernel and application both run in ring 3, the entry sets it again and
 * returns by a native iretq, without a hypercall (xen-x86_64.h, HYPERVISOR_iret).
 *
 * Unmasking on return. Once the mask is cleared an event may arrive before iretq has consumed the
 * frame. In the window event_return_begin..event_return_end every register has its final value
 * already and none is changed, so an event that interrupts the window simply forgets the inner
 * frame and goes on with the outer one, as if it had arrived before the return began.
 */
#define __ASSEMBLY__ 1

#include <xen/xen.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#include "pv/abi.h"

/* struct vcpu_info of vCPU 0 in struct shared_info (xen.h). */
#define UPCALL_PENDING pv_shared_page + 0(%rip)
#define UPCALL_MASK pv_shared_page + 1(%rip)

/* struct trap_frame (pv/pv.h), as far as needed. */
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_SS 168
#define RFLAGS_IF 0x200
#define TRAP_EVENT 32
#define TRAP_FAILSAFE 33

/* --- ELF notes (elfnote.h); those that hold addresses are in kernel/guest.lds --------------- */

.macro note name, type, desc:vararg
    .balign 4
    .long 2f - 1f, 4f - 3f, \type
1:  .asciz "\name"
2:  .balign 4
3:  \desc
4:  .balign 4
.endm

    .section .note.parvus, "a", @note
    note Xen, XEN_ELFNOTE_PADDR_OFFSET, .quad 0
    note Xen, XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    note Xen, XEN_ELFNOTE_GUEST_OS, .asciz "Parvus"
    note Xen, XEN_ELFNOTE_LOADER, .asciz "generic"
    note Xen, XEN_ELFNOTE_PAE_MODE, .asciz "yes"
    note Xen, XEN_ELFNOTE_FEATURES, .asciz "pae_pgdir_above_4gb"
    note Xen, XEN_ELFNOTE_SUPPORTED_FEATURES, .long (1 << XENFEAT_dom0) | (1 << XENFEAT_pae_pgdir_above_4gb)
    note PARVUS_NOTE_NAME, PARVUS_NOTE_FEATURES, .long PARVUS_FEATURE_EXIT_STATUS | PARVUS_FEATURE_FAULT_STACK | PARVUS_FEATURE_WX | PARVUS_FEATURE_SEAL

/* --- Pages ---------------------------------------------------------------------------------- */

    .section .hypercall_page, "ax", @nobits
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096

    .section .bss.shared_page, "aw", @nobits
    .balign 4096
    .globl pv_shared_page
pv_shared_page:
    .skip 4096

/* The boot stack, later the idle thread's. It lies right above read-only pages (kernel/guest.lds),
 * which catch its overflow. */
    .section .boot_stack, "aw", @nobits
    .balign 4096
    .globl pv_boot_stack, pv_boot_stack_top
pv_boot_stack:
    .skip 8192
pv_boot_stack_top:

/* --- Start of day: rsi = start_info --------------------------------------------------------- */

    .text
    .globl pv_entry
    .type pv_entry, @function
pv_entry:
    cld
    lea pv_boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    mov %rsi, %rbx
    mov %rsi, %rdi
    call pv_relocate
    add %rax, %rsp
    lea (%rbx, %rax), %rdi
    lea 1f(%rip), %rcx
    add %rax, %rcx
    jmp *%rcx
1:  call pv_start               /* at the new address */
    ud2
    .size pv_entry, . - pv_entry

/* --- Frames --------------------------------------------------------------------------------- */

.macro save_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

/* Leaves rsp at rip, cs, rflags, rsp, ss. */
.macro restore_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    lea 16(%rsp), %rsp
.endm

/* Calls fn(frame); keeps the frame at rsp. rbx, rbp and rax are saved in it. The pair that is pushed
 * looks like a call from the interrupted place, so that backtraces go on there. */
.macro call_with_frame fn
    cld
    mov FRAME_RIP(%rsp), %rax
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    push %rax
    push %rbp
    mov %rsp, %rbp
    call \fn
    mov %rbx, %rsp
.endm

/* --- Events --------------------------------------------------------------------------------- */

    .globl pv_event_entry
    .type pv_event_entry, @function
pv_event_entry:
    lea event_return_begin(%rip), %rcx
    cmp %rcx, 16(%rsp)          /* rip, behind rcx and r11 */
    jb 1f
    lea event_return_end(%rip), %rcx
    cmp %rcx, 16(%rsp)
    jae 1f
    pop %rcx
    pop %r11
    mov 24(%rsp), %rsp          /* inside the window: continue with the outer frame */
    jmp 2f
1:  pop %rcx
    pop %r11
2:  push $0
    push $TRAP_EVENT
event_with_frame:
    save_registers
    call_with_frame pv_event_dispatch
    orb $3, FRAME_CS(%rsp)
    orb $3, FRAME_SS(%rsp)
return_unmasked:
    restore_registers
event_return_begin:
    movb $0, UPCALL_MASK
    testb $0xff, UPCALL_PENDING
    jnz event_again
    iretq
event_again:
    movb $1, UPCALL_MASK
event_return_end:
    push $0
    push $TRAP_EVENT
    jmp event_with_frame
    .size pv_event_entry, . - pv_event_entry

/*
 * void pv_event_replay(void): events are masked and one is pending; handles it as if it arrived at
 * the return address, which also unmasks. Cheaper than a hypercall to have it delivered.
 */
    .globl pv_event_replay
    .type pv_event_replay, @function
pv_event_replay:
    pop %rax
    mov %rsp, %rdx
    mov %ss, %ecx
    push %rcx
    push %rdx
    push $(RFLAGS_IF | 2)
    mov %cs, %ecx
    push %rcx
    push %rax
    push $0
    push $TRAP_EVENT
    jmp event_with_frame
    .size pv_event_replay, . - pv_event_replay

/* Failsafe callback: ds, es, fs, gs between r11 and rip. Nothing can be repaired; it panics. */
    .globl pv_failsafe_entry
    .type pv_failsafe_entry, @function
pv_failsafe_entry:
    pop %rcx
    pop %r11
    lea 32(%rsp), %rsp
    push $0
    push $TRAP_FAILSAFE
    jmp trap_with_frame
    .size pv_failsafe_entry, . - pv_failsafe_entry

/* --- Exceptions ----------------------------------------------------------------------------- */

/* pv/traps.c registers them by a table without addresses: struct trap_entry. Events stay masked while
 * a trap is handled (xen.h, TI_GET_IF); software may raise 3 and 4. */
#define MASK_EVENTS 4
#define FROM_SOFTWARE 3

    .section .rodata.pv_trap_entries, "a", @progbits
    .balign 4
    .globl pv_trap_entries, pv_trap_entries_end
pv_trap_entries:
    .text

.macro trap_entry vector, has_error_code=0, flags=MASK_EVENTS
    .pushsection .rodata.pv_trap_entries, "a", @progbits
    .byte \vector, \flags
    .balign 4
    .long pv_trap_\vector - .
    .popsection
    .type pv_trap_\vector, @function
pv_trap_\vector:
    pop %rcx
    pop %r11
    .if !\has_error_code
    push $0
    .endif
    push $\vector
    jmp trap_with_frame
    .size pv_trap_\vector, . - pv_trap_\vector
.endm

    trap_entry 0
    trap_entry 1
    trap_entry 3, 0, MASK_EVENTS | FROM_SOFTWARE
    trap_entry 4, 0, MASK_EVENTS | FROM_SOFTWARE
    trap_entry 5
    trap_entry 6
    trap_entry 7
    trap_entry 8, 1
    trap_entry 10, 1
    trap_entry 11, 1
    trap_entry 12, 1
    trap_entry 13, 1
    trap_entry 14, 1
    trap_entry 16
    trap_entry 17, 1
    trap_entry 19

    .section .rodata.pv_trap_entries, "a", @progbits
pv_trap_entries_end:
    .text

/* Events were masked on the way in; they are unmasked again if the trap found them so, which the
 * IF bit of the saved rflags tells (xen.h, cpu_user_regs). */
trap_with_frame:
    save_registers
    call_with_frame kernel_trap
.Lresume:
    orb $3, FRAME_CS(%rsp)
    orb $3, FRAME_SS(%rsp)
    testl $RFLAGS_IF, FRAME_RFLAGS(%rsp)
    jnz return_unmasked
    restore_registers
    iretq

/* void pv_resume(struct trap_frame *frame): events are masked; continues there, on its stack. */
    .globl pv_resume
    .type pv_resume, @function
pv_resume:
    mov %rdi, %rsp
    jmp .Lresume
    .size pv_resume, . - pv_resume

    .section .note.GNU-stack, "", @progbits
