/*
 * The ways into ring 0 and out again. Each entry builds a struct frame (cpu.h) at the top of the
 * CPU's stack. Ring 0.
 *
 * Hypercalls: Xen's convention (xen/arch-x86/xen-x86_64.h): number in eax, arguments in rdi, rsi,
 * rdx, r10, r8, result in rax, every other register preserved.
 */
#include "boot/layout.h"
#include "pv/hypervisor/offsets.h"

#define CPU_TOP boot_cpu_stack + CPU_STACK_BYTES - CPU_BYTES

/* Each stack with a page below it that memory_protect() takes away. */
    .section .bss.cpu, "aw", @nobits
    .balign CPU_STACK_BYTES
    .globl boot_cpu_fault_guard, boot_cpu_guard
boot_cpu_fault_guard:
    .skip GUARD_BYTES
boot_cpu_fault_stack:
    .skip FAULT_STACK_BYTES
    .globl boot_cpu_fault_stack_top
boot_cpu_fault_stack_top:
boot_cpu_guard:
    .skip GUARD_BYTES
boot_cpu_stack:
    .skip CPU_STACK_BYTES
    .globl boot_cpu
    .set boot_cpu, CPU_TOP

/*
 * SYSCALL: no stack switch, rcx = rip, r11 = rflags; RFLAGS masked by SFMASK. The stack's address
 * makes this the boot CPU's own entry: another CPU gets a copy with its own (as Xen does).
 *
 * This is the short path: no SS and CS are stored, and SYSRET leaves by it, unless an event has to
 * be delivered.
 */
    .section .text.entry, "ax"
    .globl entry_syscall
    .balign 64
entry_syscall:
    movq %rsp, CPU_TOP - FRAME_BYTES + FRAME_RSP(%rip)
    leaq CPU_TOP - FRAME_BYTES(%rip), %rsp
    movq %rcx, FRAME_RIP(%rsp)
    movq %r11, FRAME_RFLAGS(%rsp)
    movq %rdi, FRAME_RDI(%rsp)
    movq %rsi, FRAME_RSI(%rsp)
    movq %rdx, FRAME_RDX(%rsp)
    movq %r8, FRAME_R8(%rsp)
    movq %r9, FRAME_R9(%rsp)
    movq %r10, FRAME_R10(%rsp)
    cmpl $NR_HYPERCALLS, %eax
    jae 3f
    movl %eax, %eax
    movq %r10, %rcx
    leaq hypercall_table(%rip), %r11
    call *(%r11, %rax, 8)
1:  movq FRAME_BYTES + CPU_VCPU_INFO(%rsp), %rdx
    cmpw $1, (%rdx) /* evtchn_upcall_pending set and evtchn_upcall_mask clear */
    movq FRAME_RIP(%rsp), %rcx
    je 2f
    btq $47, %rcx /* SYSRET to a non-canonical rip would fault in ring 0 (SDM vol. 2, SYSRET) */
    jc 2f
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_R8(%rsp), %r8
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R10(%rsp), %r10
    movq FRAME_RFLAGS(%rsp), %r11
    movq FRAME_RSP(%rsp), %rsp
    sysretq
2:  movq %rax, FRAME_RAX(%rsp)
    movq %rcx, FRAME_RCX(%rsp)
    movq FRAME_RFLAGS(%rsp), %r11
    movq %r11, FRAME_R11(%rsp)
    movq $GUEST_CS, FRAME_CS(%rsp)
    movq $GUEST_SS, FRAME_SS(%rsp)
    jmp return_to_guest
3:  movq $-38, %rax /* -ENOSYS */
    jmp 1b

/*
 * The handler of HYPERVISOR_iret: every register comes from the frame, so it leaves by it, and the
 * registers that C functions preserve are still the guest's.
 */
    .globl entry_iret
entry_iret:
    addq $8, %rsp /* the return address */
    call hypercall_iret
    jmp return_to_guest

/*
 * INT3. On hosts where SYSCALL does not reach ring 0 the hypercall page holds this instead
 * (hypercall_page.c); anywhere else in the guest it is a breakpoint.
 *
 * On those hosts ring 0 is interpreted, at about a microsecond an instruction, while ring 3 is not:
 * so the page's code saves the registers, and little is left to do here.
 */
    .globl entry_breakpoint
    .balign 64
entry_breakpoint:
    subq $FRAME_RIP, %rsp
    movq %r11, FRAME_R11(%rsp)
    movq FRAME_RIP(%rsp), %r11
    subq boot_cpu + CPU_HYPERCALL_PAGE(%rip), %r11
    cmpq $4096, %r11
    jae 3f
    cmpl $HYPERCALL_IRET, %eax /* returns every register by the frame, which is full only at 3 */
    je 3f
    cld
    cmpl $NR_HYPERCALLS, %eax
    jae 2f
    movl %eax, %eax
    movq %r10, %rcx
    leaq hypercall_table(%rip), %r11
    call *(%r11, %rax, 8)
    .globl entry_breakpoint_called
entry_breakpoint_called:
    movq FRAME_BYTES + CPU_VCPU_INFO(%rsp), %rdx
    cmpw $1, (%rdx)
    movq %rax, FRAME_RAX(%rsp)
    je return_to_guest
    /* The page's code has its own copies; the hypervisor's values are nobody else's business. */
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    xorl %r11d, %r11d
    addq $FRAME_RIP, %rsp
    iretq
2:  movq $-38, %rax
    jmp entry_breakpoint_called
    /* Where a hypercall returns to that is made again: continuation.c. */
    .globl entry_breakpoint_again
entry_breakpoint_again:
    movq %rax, FRAME_RAX(%rsp)
    jmp return_to_guest
3:  movq FRAME_R11(%rsp), %r11
    addq $FRAME_VECTOR, %rsp
    movq $VECTOR_BREAKPOINT, (%rsp)
    movq $0, FRAME_ERROR - FRAME_VECTOR(%rsp)

trap_entry:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    leaq 48(%rsp), %rdi
    call trap_handle /* changes none of the six registers above for the guest */
    addq $48, %rsp
    testb $3, FRAME_CS(%rsp)
    jnz return_to_guest
    jmp restore

/* Interrupts: out of ring 3, or out of cpu_wait(); in ring 0, they are off anywhere else. */
interrupt_entry:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movl FRAME_VECTOR(%rsp), %edi
    call interrupt_handle
    testb $3, FRAME_CS(%rsp)
    jnz return_to_guest
    leaq entry_halt(%rip), %rdx
    cmpq %rdx, FRAME_RIP(%rsp)
    jne restore
    leaq entry_halted(%rip), %rdx /* it was waited for, even where it came before HLT */
    movq %rdx, FRAME_RIP(%rsp)
    jmp restore

/*
 * One stub a vector: error code (the CPU pushes it for some), vector, then the common part. A vector
 * can be an interrupt's as well (end_interrupt()), which comes without an error code; the CPU aligns
 * the stack to 16 bytes before it pushes five words, or six (SDM vol. 3A, 6.14.2).
 */
    .macro vector_stub number
    .balign 16
    .if (\number >= 10 && \number <= 14) || \number == 17 || \number == 21
    testb $8, %spl
    jz 1f
    pushq $NO_ERROR_CODE
1:
    .elseif \number != 8
    pushq $0
    .endif
    pushq $\number
    .if \number < NR_EXCEPTIONS
    jmp trap_entry
    .else
    jmp interrupt_entry
    .endif
    .endm

    .globl vector_stubs
    .balign 16
vector_stubs:
    .altmacro /* %i: the value, not the text */
    .set i, 0
    .rept NR_VECTORS
    vector_stub %i
    .set i, i + 1
    .endr
    .noaltmacro

/*
 * STI keeps interrupts away until HLT waits for them (SDM vol. 2B, STI). A VMRUN of QEMU's TCG does
 * not load the interrupt shadow that #VMEXIT saved (AMD APM vol. 2, 15.21.5; QEMU 7.2,
 * target/i386/tcg/sysemu/svm_helper.c), so a KVM on it lets one through between the two: then no
 * other may come, and HLT must not wait for it. Hence each interrupt out of here goes on behind HLT.
 *
 * It also gives the guest an interrupt that KVM injects a second time if its thread is to stop just
 * then (same file, helper_vmrun leaves exception_index set; accel/tcg/cpu-exec.c,
 * cpu_handle_interrupt): at the first instruction of our handler, with interrupts off. That one goes
 * back to where it came from, like any interrupt.
 */
    .globl cpu_wait
cpu_wait:
    sti
entry_halt:
    hlt
entry_halted:
    cli
    ret

    .globl cpu_return_to_guest
cpu_return_to_guest:
    leaq boot_cpu - FRAME_BYTES(%rip), %rsp
return_to_guest:
    movq FRAME_BYTES + CPU_VCPU_INFO(%rsp), %rdx
    cmpw $1, (%rdx)
    jne restore
    call event_deliver
restore:
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $16, %rsp
    .globl entry_iretq
entry_iretq:
    iretq
