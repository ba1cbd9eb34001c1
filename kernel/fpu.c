/*
 * The FPU state of a preempted thread: kept on its own stack, by xsave where the guest has more
 * than x87 and SSE enabled, else by fxsave. Kernel code itself uses general registers only.
 *
 * Caller: the event exit path, events masked. Ring 3. Intel SDM volume 1, 13.
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
/*
 * What is kept: x87, SSE, AVX and AVX-512, at most 2.7 KiB. Not AMX's tiles, which alone would fill
 * a stack; a host may show them enabled although no program asked for them.
 */
#define XCR0_KEPT 0xe7ull
#define FIRST_EXTENDED 2
#define LAST_KEPT 7

static const uint32_t mxcsr_default = 0x1f80;

static uint64_t xsave_mask; /* 0: fxsave */
static size_t area_bytes = FXSAVE_BYTES;

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *eax, uint32_t *ebx, uint32_t *ecx)
{
    uint32_t edx;

    *eax = leaf;
    *ecx = subleaf;
    asm volatile("cpuid" : "+a"(*eax), "=b"(*ebx), "+c"(*ecx), "=d"(edx));
}

/* SDM volume 1, 13.2: leaf 0xd has each component's size and offset in the standard format. */
static size_t component_end(uint32_t component)
{
    uint32_t bytes, offset, ecx;

    cpuid(0xd, component, &bytes, &offset, &ecx);
    return (size_t)offset + bytes;
}

void fpu_init(void)
{
    uint32_t eax, ebx, ecx, low, high;

    asm volatile("fninit; ldmxcsr %0" ::"m"(mxcsr_default)); /* whatever the loader left */
    cpuid(1, 0, &eax, &ebx, &ecx);
    if (!(ecx & CPUID_1_ECX_OSXSAVE))
        return;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t enabled = (uint64_t)high << 32 | low;

    /* Xen starts a guest with x87 alone in XCR0: SSE works, but xsave would not save it. */
    if ((enabled & XCR0_X87_SSE) != XCR0_X87_SSE || enabled == XCR0_X87_SSE)
        return;
    xsave_mask = enabled & XCR0_KEPT;
    area_bytes = FXSAVE_BYTES + XSAVE_HEADER_BYTES;
    for (uint32_t i = FIRST_EXTENDED; i <= LAST_KEPT; i++)
        if ((xsave_mask >> i & 1) && component_end(i) > area_bytes)
            area_bytes = component_end(i);
}

void fpu_preserving_switch(void)
{
    fpu_preserving_call(sched_switch);
}

void fpu_preserving_call(void (*fn)(void))
{
    char room[area_bytes + AREA_ALIGN];
    char *area = (char *)(((uintptr_t)room + AREA_ALIGN - 1) & -(uintptr_t)AREA_ALIGN);
    uint32_t low = (uint32_t)xsave_mask, high = (uint32_t)(xsave_mask >> 32);

    if (xsave_mask) {
        memset(area + FXSAVE_BYTES, 0, XSAVE_HEADER_BYTES); /* xrstor checks the reserved parts */
        asm volatile("xsave64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
    } else {
        asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    }
    /* What comes now (the next thread left in a function call) expects an empty x87 stack. */
    asm volatile("fninit; ldmxcsr %0" ::"m"(mxcsr_default));
    fn();
    if (xsave_mask)
        asm volatile("xrstor64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
    else
        asm volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
