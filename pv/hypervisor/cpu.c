/* See cpu.h. Intel SDM vol. 3A, 7.2 (TSS), 6.10 (IDT), 5.8.8 (SYSCALL). */
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/entry.h"

#define MSR_SYSENTER_CS 0x174
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084

#define CR4_OSXSAVE (1ul << 18)
#define CR4_FSGSBASE (1ul << 16)
#define CR4_UMIP (1ul << 11)
#define CR4_SMEP (1ul << 20)
#define CPUID_1_ECX_XSAVE (1u << 26)
#define CPUID_7_EBX_FSGSBASE (1u << 0)
#define CPUID_7_EBX_SMEP (1u << 7)
#define CPUID_7_ECX_UMIP (1u << 2)
#define XCR0_X87_SSE_AVX 0x7ul
#define XCR0_AVX512 0xe0ul

#define IO_BITMAP_BYTES 8192
/*
 * Ports that stay the hypervisor's: its own devices (PICs, PIT and its gate, RTC, serial port), and
 * what could write to any memory or reset the machine (ISA DMA, fw_cfg's DMA, A20 and reset, SMI).
 */
static const struct {
    uint16_t first, last;
} own_ports[] = {
    {0x00, 0x21}, {0x40, 0x43}, {0x61, 0x61},   {0x70, 0x71},   {0x80, 0xa1},
    {0xb2, 0xb3}, {0xc0, 0xdf}, {0x4d0, 0x4d1}, {0x510, 0x51b}, {SERIAL_PORT, SERIAL_PORT + 7},
};

static struct {
    uint32_t reserved;
    uint64_t rsp[3];
    uint64_t reserved2;
    uint64_t ist[7];
    uint64_t reserved3;
    uint16_t reserved4;
    uint16_t io_bitmap_offset;
    uint8_t io_bitmap[IO_BITMAP_BYTES + 1]; /* the last byte: all ones (SDM vol. 1, 19.5.2) */
} __attribute__((packed, aligned(16))) tss;

static uint64_t gdt[TSS_SELECTOR / 8 + 2] = {
    [KERNEL_CS / 8] = 0x00209b0000000000,
    [KERNEL_SS / 8] = 0x0000930000000000,
    [GUEST_SS / 8] = 0x00cff3000000ffff,
    [GUEST_CS / 8] = 0x00affb000000ffff,
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static struct gate idt[NR_VECTORS];

/*
 * For what may find the ordinary stack unusable: #DF and #MC, which are the end, and an NMI, which
 * nothing here asks for and which is ignored.
 */
extern uint8_t boot_cpu_fault_stack_top[]; /* entry.S */

#define GATE_INTERRUPT 0x8e
#define GATE_INTERRUPT_RING3 0xee

static void set_gate(unsigned int vector, uint64_t address, uint8_t type, uint8_t ist)
{
    idt[vector] =
        (struct gate){(uint16_t)address,         KERNEL_CS, ist, type, (uint16_t)(address >> 16),
                      (uint32_t)(address >> 32), 0};
}

static void load_tables(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdt_pointer = {sizeof(gdt) - 1, (uint64_t)gdt},
                              idt_pointer = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t base = (uint64_t)&tss;
    uint64_t limit = sizeof(tss) - 1;

    gdt[TSS_SELECTOR / 8] =
        limit | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %2\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %3, %%ss\n\t"
                     "lidt %1\n\t"
                     "ltr %w4\n\t"
                     /* After reset there is an LDT at address 0, which would be the guest's. */
                     "xorl %%eax, %%eax\n\t"
                     "lldt %%ax"
                     :
                     : "m"(gdt_pointer), "m"(idt_pointer), "i"(KERNEL_CS), "r"(KERNEL_SS),
                       "r"(TSS_SELECTOR)
                     : "rax", "memory");
}

static void enable_features(void)
{
    uint32_t r[4];
    uint64_t cr4 = cpu_read_cr4();

    cpu_cpuid(0, 0, r);

    uint32_t max_leaf = r[0];

    if (max_leaf >= 7) {
        cpu_cpuid(7, 0, r);
        if (r[1] & CPUID_7_EBX_FSGSBASE)
            cr4 |= CR4_FSGSBASE;
        if (r[1] & CPUID_7_EBX_SMEP)
            cr4 |= CR4_SMEP;
        if (r[2] & CPUID_7_ECX_UMIP)
            cr4 |= CR4_UMIP;
    }
    cpu_cpuid(1, 0, r);
    if (r[2] & CPUID_1_ECX_XSAVE && max_leaf >= 0xd) {
        cpu_write_cr4(cr4 | CR4_OSXSAVE);
        cr4 |= CR4_OSXSAVE;
        /* The guest gets the vector state that the CPU has: x87, SSE, AVX, all of AVX-512. */
        cpu_cpuid(0xd, 0, r);

        uint64_t xcr0 = r[0] & XCR0_X87_SSE_AVX;

        if ((r[0] & XCR0_AVX512) == XCR0_AVX512)
            xcr0 |= XCR0_AVX512;
        __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)xcr0), "d"(0));
    }
    cpu_write_cr4(cr4);
}

void cpu_init(void)
{
    tss.rsp[0] = (uint64_t)&boot_cpu;
    tss.ist[0] = (uint64_t)boot_cpu_fault_stack_top;
    cpu_set_port_access(0);
    for (unsigned int i = 0; i < NR_VECTORS; i++)
        set_gate(i, (uint64_t)vector_stubs[i], GATE_INTERRUPT, 0);
    set_gate(2, (uint64_t)entry_iretq, GATE_INTERRUPT, 1);
    set_gate(8, (uint64_t)vector_stubs[8], GATE_INTERRUPT, 1);
    set_gate(VECTOR_BREAKPOINT, (uint64_t)entry_breakpoint, GATE_INTERRUPT_RING3, 0);
    load_tables();
    /* SYSRET takes the guest's selectors from STAR: SS = base + 8, CS = base + 16. */
    cpu_wrmsr(MSR_STAR, (uint64_t)(GUEST_CS - 16) << 48 | (uint64_t)KERNEL_CS << 32);
    cpu_wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
    cpu_wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER raises #GP */
    cpu_wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    enable_features();
}

/* Somebody had the bitmap: it no longer allows all ports but ours. */
static int bitmap_was_changed;

void cpu_use_port_bitmap(void)
{
    tss.io_bitmap[IO_BITMAP_BYTES] = 0xff;
    for (unsigned int i = 0; i < sizeof(own_ports) / sizeof(own_ports[0]); i++) {
        unsigned int first = own_ports[i].first, last = own_ports[i].last;

        for (unsigned int at = first / 8; at <= last / 8; at++) {
            unsigned int bits = 0xff;

            if (at == first / 8)
                bits &= 0xffu << first % 8;
            if (at == last / 8)
                bits &= 0xffu >> (7 - last % 8);
            tss.io_bitmap[at] |= (uint8_t)bits;
        }
    }
    tss.io_bitmap_offset = offsetof(__typeof__(tss), io_bitmap);
}

uint8_t *cpu_port_bitmap(void)
{
    bitmap_was_changed = 1;
    return tss.io_bitmap;
}

void cpu_set_port_access(int allow)
{
    if (!allow) {
        tss.io_bitmap_offset = sizeof(tss); /* beyond the limit: no port at all */
        return;
    }
    if (bitmap_was_changed) {
        __builtin_memset(tss.io_bitmap, 0, IO_BITMAP_BYTES);
        bitmap_was_changed = 0;
    }
    cpu_use_port_bitmap();
}
