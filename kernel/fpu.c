/*
 * The FPU state of a preempted thread: kept on its own stack, by xsave where the guest has more
 * than x87 and SSE enabled, else by fxsave. Kernel code itself uses general registers only.
 *
 * Caller: the event exit path, sched_lock held, events masked. Ring 3. Intel SDM volume 1, 13.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernel/sched.h"

#define FXSAVE_BYTES 512
#define XSAVE_HEADER_BYTES 64
#define AREA_ALIGN 64

#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define XCR0_X87_SSE 0x3ull

static uint64_t xsave_mask; /* 0: fxsave */
static size_t area_bytes = FXSAVE_BYTES;

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *ebx, uint32_t *ecx)
{
    uint32_t eax = leaf, edx;

    *ecx = subleaf;
    asm volatile("cpuid" : "+a"(eax), "=b"(*ebx), "+c"(*ecx), "=d"(edx));
}

void fpu_init(void)
{
    uint32_t ebx, ecx, low, high;

    cpuid(1, 0, &ebx, &ecx);
    if (!(ecx & CPUID_1_ECX_OSXSAVE))
        return;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t enabled = (uint64_t)high << 32 | low;

    /* Xen starts a guest with x87 alone in XCR0: SSE works, but xsave would not save it. */
    if ((enabled & XCR0_X87_SSE) != XCR0_X87_SSE || enabled == XCR0_X87_SSE)
        return;
    cpuid(0xd, 0, &ebx, &ecx);
    xsave_mask = enabled;
    area_bytes = ebx; /* for what is enabled in XCR0 now */
}

void fpu_preserving_switch(void)
{
    char room[area_bytes + AREA_ALIGN];
    char *area = (char *)(((uintptr_t)room + AREA_ALIGN - 1) & -(uintptr_t)AREA_ALIGN);
    uint32_t low = (uint32_t)xsave_mask, high = (uint32_t)(xsave_mask >> 32);
    static const uint32_t mxcsr_default = 0x1f80;

    if (xsave_mask) {
        memset(area + FXSAVE_BYTES, 0, XSAVE_HEADER_BYTES); /* xrstor checks the reserved parts */
        asm volatile("xsave64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
    } else {
        asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    }
    /* The next thread left in a function call and expects an empty x87 stack. */
    asm volatile("fninit; ldmxcsr %0" ::"m"(mxcsr_default));
    sched_switch();
    if (xsave_mask)
        asm volatile("xrstor64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
    else
        asm volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
