/*
 * Offsets that assembly shares with C; cpu.h asserts each of them. Only #defines.
 */
#ifndef HYPERVISOR_OFFSETS_H
#define HYPERVISOR_OFFSETS_H

/* struct frame */
#define FRAME_R11 0
#define FRAME_R10 8
#define FRAME_R9 16
#define FRAME_R8 24
#define FRAME_RAX 32
#define FRAME_RCX 40
#define FRAME_RDX 48
#define FRAME_RSI 56
#define FRAME_RDI 64
#define FRAME_VECTOR 72
#define FRAME_ERROR 80
#define FRAME_RIP 88
#define FRAME_CS 96
#define FRAME_RFLAGS 104
#define FRAME_RSP 112
#define FRAME_SS 120
#define FRAME_BYTES 128

/* struct cpu */
#define CPU_VCPU_INFO 0
#define CPU_HYPERCALL_PAGE 8

/* Each CPU's stack, its struct cpu at the end. */
#define CPU_STACK_BYTES 4096
#define FAULT_STACK_BYTES 4096
#define GUARD_BYTES 4096
#define CPU_BYTES 128

/* Selectors. The guest's are where a deprivileging KVM's own user selectors are (Linux'), so that
 * a native far return in ring 3 works there too; SYSRET wants SS 8 below CS. */
#define KERNEL_CS 0x10
#define KERNEL_SS 0x18
#define GUEST_SS 0x2b
#define GUEST_CS 0x33
#define TSS_SELECTOR 0x40

#define VECTOR_BREAKPOINT 3
#define NR_EXCEPTIONS 32
#define NO_ERROR_CODE -1 /* in the place of one that the CPU has not pushed: an interrupt */
#define VECTOR_TIMER 0x30
#define VECTOR_CONSOLE 0x31
#define VECTOR_SPURIOUS 0x3f
#define VECTOR_PIRQ 0x40 /* the first of those for the domain's physical interrupts */
#define NR_VECTORS 128

#define NR_HYPERCALLS 56
#define HYPERCALL_IRET 23 /* __HYPERVISOR_iret */

#define RFLAGS_TF 0x100
#define RFLAGS_IF 0x200
#define RFLAGS_DF 0x400
#define RFLAGS_IOPL 0x3000
#define RFLAGS_NT 0x4000
#define RFLAGS_RF 0x10000
#define RFLAGS_VM 0x20000
#define RFLAGS_AC 0x40000

#endif
