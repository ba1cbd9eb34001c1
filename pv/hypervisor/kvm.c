/* See kvm.h. State is the boot CPU's: each CPU registers its own. */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/kvm.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/host.h"
#include "pv/hypervisor/memory.h"

#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define KVM_FEATURE_STEAL_TIME (1u << 5)
#define KVM_FEATURE_PV_EOI (1u << 6)

#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01
#define MSR_KVM_STEAL_TIME 0x4b564d03
#define MSR_KVM_PV_EOI_EN 0x4b564d04
#define MSR_KVM_ENABLE 1ul

struct kvm_steal_time {
    uint64_t steal;
    uint32_t version;
    uint32_t flags;
    uint8_t preempted;
    uint8_t padding[47];
};

static uint32_t kvm_leaf;
static uint32_t features;
static volatile struct kvm_steal_time steal_time __attribute__((aligned(64)));
static uint32_t pv_eoi __attribute__((aligned(4)));

void kvm_init(void)
{
    uint32_t r[4];

    kvm_leaf = host_leaf(HOST_KVM);
    if (!kvm_leaf)
        return;
    host_cpuid(kvm_leaf, kvm_leaf + 1, r);
    features = r[0];
    if (features & KVM_FEATURE_STEAL_TIME)
        cpu_wrmsr(MSR_KVM_STEAL_TIME,
                  virtual_to_machine((const void *)&steal_time) | MSR_KVM_ENABLE);
    if (features & KVM_FEATURE_PV_EOI)
        cpu_wrmsr(MSR_KVM_PV_EOI_EN, virtual_to_machine(&pv_eoi) | MSR_KVM_ENABLE);
}

int kvm_is_host(void)
{
    return kvm_leaf != 0;
}

int kvm_start_clock(struct vcpu_time_info *page)
{
    if (!(features & KVM_FEATURE_CLOCKSOURCE2))
        return -ENODEV;
    cpu_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, virtual_to_machine(page) | MSR_KVM_ENABLE);
    return page->version ? 0 : -ENODEV;
}

int kvm_start_wall_clock(struct shared_info *info)
{
    /* struct pvclock_wall_clock: version, sec, nsec. */
    _Static_assert(
        offsetof(struct shared_info, wc_sec) == offsetof(struct shared_info, wc_version) + 4 &&
            offsetof(struct shared_info, wc_nsec) == offsetof(struct shared_info, wc_version) + 8,
        "as KVM writes it");
    if (!(features & KVM_FEATURE_CLOCKSOURCE2))
        return -ENODEV;
    cpu_wrmsr(MSR_KVM_WALL_CLOCK_NEW, virtual_to_machine(&info->wc_version));
    return info->wc_sec ? 0 : -ENODEV;
}

int kvm_end_of_interrupt(void)
{
    /* Only this CPU and the host on its behalf touch the word: no lock prefix needed (msr.rst). */
    return __atomic_exchange_n(&pv_eoi, 0, __ATOMIC_RELAXED) & 1;
}

uint64_t kvm_steal_ns(void)
{
    for (;;) {
        uint32_t version = steal_time.version;
        uint64_t ns = steal_time.steal;

        if (!(version & 1) && version == steal_time.version)
            return ns;
    }
}
