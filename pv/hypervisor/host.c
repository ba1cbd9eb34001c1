/* See host.h. */
#include "pv/hypervisor/host.h"
#include "pv/hypervisor/cpu.h"

#define FIRST_LEAF 0x40000000u
#define LAST_LEAF 0x40000400u
#define LEAF_STEP 0x100u
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

uint32_t host_leaf(const char *signature)
{
    uint32_t r[4];

    cpu_cpuid(1, 0, r);
    if (!(r[2] & CPUID_1_ECX_HYPERVISOR))
        return 0;
    for (uint32_t leaf = FIRST_LEAF; leaf < LAST_LEAF; leaf += LEAF_STEP) {
        cpu_cpuid(leaf, 0, r);
        if (__builtin_memcmp(&r[1], signature, 12) == 0)
            return leaf;
    }
    return 0;
}

void host_cpuid(uint32_t first, uint32_t leaf, uint32_t r[4])
{
    cpu_cpuid(first, 0, r);
    /* Old KVM reports 0 for "this leaf and the next" (KVM: Documentation/virt/kvm/x86/cpuid.rst).
     */
    if (r[0] == 0 && first >= FIRST_LEAF)
        r[0] = first + 1;
    if (leaf <= r[0])
        cpu_cpuid(leaf, 0, r);
    else
        r[0] = r[1] = r[2] = r[3] = 0;
}
