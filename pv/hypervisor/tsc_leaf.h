/*
 * The TSC's frequency by CPUID: Intel SDM vol. 2, CPUID, leaves 15H and 16H; vol. 3, 18.7.3
 * (TSC = crystal * EBX / EAX). Arithmetic alone: also compiled on the host, by tests/unit/.
 */
#ifndef HYPERVISOR_TSC_LEAF_H
#define HYPERVISOR_TSC_LEAF_H

#include <stdint.h>
#include "pv/hypervisor/math.h"

struct tsc_rates {
    uint64_t tsc_hz;     /* 0: CPUID does not say */
    uint64_t crystal_hz; /* what the APIC timer counts on such a CPU (SDM vol. 3, 11.5.4) */
};

/* eax to edx of leaves 0x15 and 0x16; all zero where there is no such leaf. */
static inline struct tsc_rates tsc_by_leaves(const uint32_t leaf15[4], const uint32_t leaf16[4])
{
    uint32_t denominator = leaf15[0], numerator = leaf15[1], crystal_hz = leaf15[2];
    uint64_t base_hz = (leaf16[0] & 0xffff) * 1000000ul; /* the upper bits are reserved */

    if (!denominator || !numerator)
        return (struct tsc_rates){0, 0};
    if (crystal_hz)
        return (struct tsc_rates){multiply_divide(crystal_hz, numerator, denominator), crystal_hz};
    /* CPUs with the ratio but without the crystal's frequency: the TSC runs at the base frequency.
     */
    return (struct tsc_rates){base_hz, multiply_divide(base_hz, denominator, numerator)};
}

#endif
