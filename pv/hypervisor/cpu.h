/*
 * One CPU: its stack, the frame of the guest it runs, privileged instructions.
 *
 * Ring 0 runs with interrupts off, except while idle (cpu_wait()). Every entry from ring 3 begins
 * on an empty stack, so the guest's frame is always at the same place: guest_frame().
 */
#ifndef HYPERVISOR_CPU_H
#define HYPERVISOR_CPU_H

#include <stdint.h>
#include <stddef.h>
#include "boot/layout.h"
#include "pv/hypervisor/offsets.h"

/*
 * What every entry to ring 0 saves. The registers that a C function preserves stay where they are;
 * entries by an exception push them too, just below the frame: frame_callee_saved().
 */
struct frame {
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct callee_saved {
    uint64_t r15, r14, r13, r12, rbp, rbx;
};

/* Per-CPU state, at the end of the CPU's stack. */
struct cpu {
    struct vcpu_info *vcpu_info; /* of the vCPU that runs here, in the hypervisor's map */
    uint64_t hypercall_page;     /* guest-virtual address, or ~0: none */
    unsigned int id;
};

#define OFFSET_IS(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #field)
OFFSET_IS(struct frame, r11, FRAME_R11);
OFFSET_IS(struct frame, rax, FRAME_RAX);
OFFSET_IS(struct frame, rdi, FRAME_RDI);
OFFSET_IS(struct frame, vector, FRAME_VECTOR);
OFFSET_IS(struct frame, rip, FRAME_RIP);
OFFSET_IS(struct frame, ss, FRAME_SS);
OFFSET_IS(struct cpu, vcpu_info, CPU_VCPU_INFO);
OFFSET_IS(struct cpu, hypercall_page, CPU_HYPERCALL_PAGE);
_Static_assert(sizeof(struct frame) == FRAME_BYTES, "struct frame");
_Static_assert(sizeof(struct cpu) <= CPU_BYTES, "struct cpu");

static inline struct cpu *this_cpu(void)
{
    uint64_t rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return (struct cpu *)((rsp & -(uint64_t)CPU_STACK_BYTES) + CPU_STACK_BYTES - CPU_BYTES);
}

/* The guest's frame on this CPU; valid in a hypercall, or a trap or interrupt out of ring 3. */
static inline struct frame *guest_frame(void)
{
    return (struct frame *)((char *)this_cpu() - FRAME_BYTES);
}

/* Valid for frames that an exception made, not for those of hypercalls. */
static inline struct callee_saved *frame_callee_saved(struct frame *frame)
{
    return (struct callee_saved *)frame - 1;
}

static inline int frame_is_guest(const struct frame *frame)
{
    return (frame->cs & 3) == 3;
}

/* What the guest may have of the flags that it asks for; ring 3 always runs with interrupts on. */
static inline uint64_t frame_guest_rflags(uint64_t wanted)
{
    const uint64_t refused = RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM;

    return (wanted & 0x3fffff & ~refused) | RFLAGS_IF | 2;
}

/* GDT, TSS, IDT and the SYSCALL registers of the boot CPU. */
void cpu_init(void);

/* Let ring 3 use all the I/O ports that the domain may (allow != 0), or none. */
void cpu_set_port_access(int allow);
/*
 * The bitmap by which the CPU allows ports (a clear bit allows), 8192 bytes, to be filled; in force
 * with cpu_use_port_bitmap(), which adds the ports that are the hypervisor's own.
 */
uint8_t *cpu_port_bitmap(void);
void cpu_use_port_bitmap(void);

/* Wait for an interrupt and serve it; the only place where ring 0 takes interrupts. entry.S. */
void cpu_wait(void);

/* Leave ring 0 with the guest's frame as it is, after delivering what is pending. entry.S. */
_Noreturn void cpu_return_to_guest(void);

static inline uint64_t cpu_rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline void cpu_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(subleaf));
}

static inline uint64_t cpu_rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return low | (uint64_t)high << 32;
}

static inline void cpu_clear_cr2(void)
{
    __asm__ volatile("mov %0, %%cr2" ::"r"(0ul));
}

static inline uint64_t cpu_read_cr2(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t cpu_read_cr3(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline void cpu_write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t cpu_read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cpu_write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline void cpu_invlpg(uint64_t addr)
{
    __asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

static inline uint8_t cpu_inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t cpu_inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void cpu_outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void cpu_outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void cpu_outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* Tell the machine monitor something (boot/layout.h, DEBUG_CONSOLE_PORT). */
static inline void cpu_debug_console(const char *line)
{
    for (; *line; line++)
        cpu_outb(DEBUG_CONSOLE_PORT, (uint8_t)*line);
}

#endif
