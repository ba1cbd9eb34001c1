/* See apic.h. Ring 0, one APIC: that of the CPU it runs on. */
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/kvm.h"
#include "pv/hypervisor/memory.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE (1u << 11)
#define APIC_BASE_X2APIC (1u << 10)
#define MSR_X2APIC 0x800
#define CPUID_1_ECX_X2APIC (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define MSR_TSC_DEADLINE 0x6e0

#define APIC_ADDRESS 0xfee00000ul

#define PIC1_MASK 0x21
#define PIC2_MASK 0xa1

enum { /* MMIO offset; the x2APIC MSR is MSR_X2APIC + offset / 16 */
       APIC_EOI = 0xb0,
       APIC_SPURIOUS = 0xf0,
       APIC_IN_SERVICE = 0x100,
       APIC_LVT_TIMER = 0x320,
       APIC_LVT_LINT0 = 0x350,
       APIC_LVT_LINT1 = 0x360,
       APIC_TIMER_INITIAL = 0x380,
       APIC_TIMER_CURRENT = 0x390,
       APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_SOFTWARE_ENABLE 0x100
#define APIC_LVT_MASKED 0x10000
#define APIC_LVT_TSC_DEADLINE 0x40000
#define APIC_DIVIDE_BY_1 0xb

static int is_x2apic;
static int has_deadline;

static void apic_write(unsigned int reg, uint32_t value)
{
    if (is_x2apic)
        cpu_wrmsr(MSR_X2APIC + reg / 16, value);
    else
        *(volatile uint32_t *)machine_to_virtual(APIC_ADDRESS + reg) = value;
}

static uint32_t apic_read(unsigned int reg)
{
    if (is_x2apic)
        return (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16);
    return *(volatile uint32_t *)machine_to_virtual(APIC_ADDRESS + reg);
}

void apic_init(void)
{
    uint32_t r[4];
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    cpu_cpuid(1, 0, r);
    is_x2apic = (r[2] & CPUID_1_ECX_X2APIC) != 0;
    cpu_wrmsr(MSR_APIC_BASE, is_x2apic ? base | APIC_BASE_X2APIC : base);
    if (!is_x2apic)
        memory_map(APIC_ADDRESS, APIC_ADDRESS + PAGE_BYTES, 1);
    apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
    /*
     * No interrupts from the legacy PICs or the NMI line: nobody here would serve them. The PICs
     * first, as firmware leaves their timer running: one that waits must go away before the line
     * is masked (it would be delivered as vector -1 by QEMU's TCG).
     */
    cpu_outb(PIC1_MASK, 0xff);
    cpu_outb(PIC2_MASK, 0xff);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    has_deadline = (r[2] & CPUID_1_ECX_TSC_DEADLINE) != 0;
}

void apic_eoi(void)
{
    if (!kvm_end_of_interrupt())
        apic_write(APIC_EOI, 0);
}

int apic_is_in_service(unsigned int vector)
{
    return apic_read(APIC_IN_SERVICE + vector / 32 * 16) >> vector % 32 & 1;
}

uint32_t apic_id(void)
{
    uint32_t r[4];

    cpu_cpuid(1, 0, r);
    return r[1] >> 24;
}

int apic_has_deadline(void)
{
    return has_deadline;
}

void apic_use_deadline(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_TSC_DEADLINE | VECTOR_TIMER);
    /* The mode must be in force before the MSR is written (SDM vol. 3A, 11.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}

void apic_deadline_set(uint64_t tsc)
{
    cpu_wrmsr(MSR_TSC_DEADLINE, tsc);
}

void apic_timer_start(uint32_t ticks)
{
    apic_write(APIC_TIMER_INITIAL, ticks);
}

uint32_t apic_timer_left(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}
