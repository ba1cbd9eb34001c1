/*
 * pv/hypervisor/tsc_leaf.h, with what CPUs say (Intel SDM vol. 3, 18.7.3 and table 18-85) and what
 * none should. Runs on the host: no QEMU has these leaves.
 */
#include <stdio.h>

#include "pv/hypervisor/tsc_leaf.h"

static const struct {
    const char *what;
    uint32_t leaf15[4], leaf16[4];
    uint64_t tsc_hz, crystal_hz;
} cases[] = {
    {"no such leaves", {0}, {0}, 0, 0},
    {"leaf 0x16 alone says nothing of the TSC", {0}, {2600, 3500, 100}, 0, 0},
    {"a denominator of 0", {0, 216, 24000000}, {2600}, 0, 0},
    {"a numerator of 0: the ratio is not enumerated", {2, 0, 24000000}, {2600}, 0, 0},
    {"Ice Lake client: all there", {2, 104, 38400000}, {2000}, 1996800000, 38400000},
    {"Goldmont: 19.2 MHz", {3, 171, 19200000}, {1100}, 1094400000, 19200000},
    {"Skylake client: no crystal, 24 MHz by the base", {2, 216, 0}, {2600}, 2600000000, 24074074},
    {"no crystal and no base frequency", {2, 216, 0}, {0}, 0, 0},
    {"reserved bits of leaf 0x16", {2, 200, 0}, {0xabcd0000 | 2400}, 2400000000, 24000000},
    {"leaf 0x16 does not override a crystal", {1, 100, 25000000}, {2600}, 2500000000, 25000000},
    {"a ratio of less than 1", {4, 2, 100000000}, {0}, 50000000, 100000000},
    {"the largest of all: no overflow",
     {1, UINT32_MAX, UINT32_MAX},
     {0},
     (uint64_t)UINT32_MAX *UINT32_MAX,
     UINT32_MAX},
};

int main(void)
{
    int failed = 0;

    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tsc_rates got = tsc_by_leaves(cases[i].leaf15, cases[i].leaf16);

        if (got.tsc_hz == cases[i].tsc_hz && got.crystal_hz == cases[i].crystal_hz)
            continue;
        printf("%s: %lu and %lu Hz instead of %lu and %lu\n", cases[i].what, got.tsc_hz,
               got.crystal_hz, cases[i].tsc_hz, cases[i].crystal_hz);
        failed = 1;
    }
    return failed;
}
