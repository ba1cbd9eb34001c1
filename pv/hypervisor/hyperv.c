/* See hyperv.h. */
#include <stdint.h>
#include "pv/hypervisor/hyperv.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/host.h"
#include "pv/hypervisor/math.h"
#include "pv/hypervisor/memory.h"

enum {
    MSR_GUEST_OS_ID = 0x40000000,
    MSR_TIME_REF_COUNT = 0x40000020,
    MSR_REFERENCE_TSC = 0x40000021,
    MSR_APIC_FREQUENCY = 0x40000023,
};

/* CPUID leaf 0x40000003, EAX: what the partition may access. */
enum {
    HAS_REFERENCE_COUNTER = 1 << 1,
    HAS_REFERENCE_TSC = 1 << 9,
    HAS_FREQUENCIES = 1 << 11,
};

#define UNIT_NS 100
#define UNITS_PER_S 10000000

static uint32_t features;

/* A page of its own: the host lays another over it. Sequence 0: it says nothing (12.7.3). */
static volatile union {
    struct {
        uint32_t sequence, reserved;
        uint64_t scale;
        int64_t offset;
    };
    uint8_t page[PAGE_BYTES];
} reference __attribute__((aligned(PAGE_BYTES)));

int hyperv_start_clock(void)
{
    uint32_t leaf = host_leaf(HOST_HYPERV);
    uint32_t r[4];

    if (!leaf)
        return -ENODEV;
    host_cpuid(leaf, leaf + 3, r);
    features = r[0];
    if (!(features & HAS_REFERENCE_COUNTER))
        return -ENODEV;
    cpu_wrmsr(MSR_GUEST_OS_ID, 1ul << 63 | 0x50ul << 48); /* open source; none of the known */
    if (features & HAS_REFERENCE_TSC)
        cpu_wrmsr(MSR_REFERENCE_TSC, virtual_to_machine((const void *)&reference) | 1);
    return 0;
}

uint64_t hyperv_now_ns(void)
{
    uint32_t sequence;

    while ((sequence = reference.sequence) != 0) {
        __asm__ volatile("" : : : "memory"); /* x86 keeps loads in order; so must the compiler */
        uint64_t units = multiply_high(cpu_rdtsc(), reference.scale) + (uint64_t)reference.offset;

        __asm__ volatile("" : : : "memory");
        if (sequence == reference.sequence)
            return units * UNIT_NS;
    }
    return cpu_rdmsr(MSR_TIME_REF_COUNT) * UNIT_NS;
}

uint64_t hyperv_tsc_hz(void)
{
    uint64_t scale = reference.scale;

    /* Time in units = tsc * scale / 2^64 (12.7.3). */
    return reference.sequence && scale > UNITS_PER_S ? divide_2_64(UNITS_PER_S, scale) : 0;
}

uint64_t hyperv_apic_hz(void)
{
    return features & HAS_FREQUENCIES ? cpu_rdmsr(MSR_APIC_FREQUENCY) : 0;
}
