/*
 * The paravirtual clock: xen.h, struct vcpu_time_info (the same layout as KVM's kvmclock), and the
 * one-shot timer.
 *
 * Callers: anything, anywhere; ring 3, no hypercall for reading. Locks: none; version counters.
 */
#include "pv/shared.h"

#define NS_PER_SECOND 1000000000ull

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    /* lfence: the counter is not read before the version and not after the second look at it. */
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* (delta << shift) * multiplier >> 32, with the product in 128 bits. */
static uint64_t scale(uint64_t delta, uint32_t multiplier, int8_t shift)
{
    delta = shift >= 0 ? delta << shift : delta >> -shift;
    return (uint64_t)((unsigned __int128)delta * multiplier >> 32);
}

uint64_t pv_clock_monotonic_ns(void)
{
    static uint64_t latest; /* highest value handed out, where vCPUs' clocks may disagree */
    const volatile struct vcpu_time_info *time = &pv_vcpu()->time;
    uint32_t version;
    uint8_t flags;
    uint64_t now;

    do {
        version = time->version;
        asm volatile("" ::: "memory"); /* pairs with the hypervisor's two version updates */
        uint64_t tsc = read_tsc();
        uint64_t delta = tsc > time->tsc_timestamp ? tsc - time->tsc_timestamp : 0;

        now = time->system_time + scale(delta, time->tsc_to_system_mul, time->tsc_shift);
        flags = time->flags;
        asm volatile("" ::: "memory");
    } while ((version & 1) || version != time->version);

    if (flags & XEN_PVCLOCK_TSC_STABLE_BIT)
        return now;
    /* An update of the parameters may step back by some nanoseconds: never let it show. */
    uint64_t seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);
    do {
        if (now <= seen)
            return seen;
    } while (!__atomic_compare_exchange_n(&latest, &seen, now, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return now;
}

uint64_t pv_clock_wall_ns(void)
{
    const volatile struct shared_info *shared = pv_shared();
    uint64_t boot_ns;
    uint32_t version;

    do {
        version = shared->wc_version;
        asm volatile("" ::: "memory"); /* x86 keeps loads in order; so does the compiler, then */
        uint64_t seconds = (uint64_t)shared->wc_sec_hi << 32 | shared->wc_sec;
        boot_ns = seconds * NS_PER_SECOND + shared->wc_nsec;
        asm volatile("" ::: "memory");
    } while ((version & 1) || version != shared->wc_version);
    return boot_ns + pv_clock_monotonic_ns();
}

/* From the factor that turns ticks into nanoseconds: multiplier * 2^shift / 2^32. */
uint64_t pv_clock_tsc_hz(void)
{
    const volatile struct vcpu_time_info *time = &pv_vcpu()->time;
    uint32_t multiplier = time->tsc_to_system_mul;
    int8_t shift = time->tsc_shift;

    if (!multiplier)
        return 0;
    uint64_t hz = (uint64_t)(((unsigned __int128)NS_PER_SECOND << 32) / multiplier);
    return shift >= 0 ? hz >> shift : hz << -shift;
}

void pv_timer_set(uint64_t deadline_ns)
{
    /* Zero would stop it; a deadline in the past fires at once. */
    hypervisor_set_timer_op(deadline_ns ? deadline_ns : 1);
}

void pv_timer_stop(void)
{
    hypervisor_set_timer_op(0);
}

void pv_timer_stop_periodic(void)
{
    hypervisor_vcpu_op(VCPUOP_stop_periodic_timer, pv_cpu(), NULL);
}
