/*
 * See clock.h. Sources: xen.h, struct vcpu_time_info. Linux arch/x86/kernel/cpu/vmware.c (leaf
 * 0x40000010). ACPI 6.4, 4.8.3.3 (PM timer). Intel 8254.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/clock.h"
#include "pv/hypervisor/acpi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/host.h"
#include "pv/hypervisor/hyperv.h"
#include "pv/hypervisor/kvm.h"
#include "pv/hypervisor/math.h"
#include "pv/hypervisor/measure.h"
#include "pv/hypervisor/print.h"
#include "pv/hypervisor/rtc.h"
#include "pv/hypervisor/tsc_leaf.h"

#define NS_PER_S 1000000000ul

/*
 * QEMU's and KVM's APIC timers count nanoseconds (QEMU hw/intc/apic_common.c; KVM's
 * KVM_CAP_X86_APIC_BUS_CYCLES_NS has that default).
 */
#define APIC_HZ_VIRTUAL NS_PER_S

/* How long to measure: the APIC's measurement goes on in the background (clock_learn()). */
#define MEASURE_BY_APIC_NS 10000
#define MEASURE_BY_DEVICE_NS 10000000

static const struct device_clock apic_device = {.hz = APIC_HZ_VIRTUAL, .mask = UINT32_MAX};
static uint64_t apic_hz = APIC_HZ_VIRTUAL;

/* With the source "apic": the best measurement so far. */
static int is_learning;
static uint64_t learnt_ticks, uncertainty;

/*
 * The guest can write its page, so the hypervisor reads a copy of its own. Only with kvmclock,
 * whose page is the guest's, does it read that, as the input that it is: whatever it says, nothing
 * worse comes of it than a wrong time for that guest.
 */
static struct vcpu_time_info own;
static int is_hosts; /* the source is "kvmclock" */

#define READ_TRIES 1000

static struct vcpu_time_info *guest_page(void)
{
    return &domain.shared_info->vcpu_info[0].time;
}

static uint64_t scale(uint64_t tsc_delta, const struct vcpu_time_info *time)
{
    if (time->tsc_shift >= 0)
        tsc_delta <<= time->tsc_shift;
    else
        tsc_delta >>= -time->tsc_shift;
    return multiply_shift32(tsc_delta, time->tsc_to_system_mul);
}

/* With kvmclock the host writes the page at any time: read until the version stands still. */
static void read_hosts(void)
{
    const volatile struct vcpu_time_info *time = guest_page();

    for (unsigned int tries = 0; tries < READ_TRIES; tries++) {
        uint32_t version = time->version;

        __asm__ volatile("" : : : "memory"); /* x86 keeps loads in order; so must the compiler */
        own.tsc_timestamp = time->tsc_timestamp;
        own.system_time = time->system_time;
        own.tsc_to_system_mul = time->tsc_to_system_mul;
        own.tsc_shift = time->tsc_shift;
        __asm__ volatile("" : : : "memory");
        if (!(version & 1) && version == time->version)
            break;
    }
    if (own.tsc_shift > 31 || own.tsc_shift < -31)
        own.tsc_shift = 0;
}

static uint64_t now_at(uint64_t tsc)
{
    /* Another CPU of the host may have written a timestamp that this one has not reached. */
    if (tsc < own.tsc_timestamp)
        tsc = own.tsc_timestamp;
    return own.system_time + scale(tsc - own.tsc_timestamp, &own);
}

uint64_t clock_now_ns(void)
{
    if (is_hosts)
        read_hosts();
    return now_at(cpu_rdtsc());
}

uint64_t clock_tsc_ticks(uint64_t ns)
{
    const struct vcpu_time_info *time = &own;
    uint64_t limit = 1ul << 62;

    /* ns = (ticks << shift) * mul >> 32, backwards. */
    if (ns >> 32 >= time->tsc_to_system_mul)
        return limit;

    uint64_t ticks = multiply_divide(ns, 1ul << 32, time->tsc_to_system_mul);

    if (time->tsc_shift >= 0)
        return ticks >> time->tsc_shift;
    return ticks > limit >> -time->tsc_shift ? limit : ticks << -time->tsc_shift;
}

uint64_t clock_apic_hz(void)
{
    return apic_hz;
}

/* The clock goes on from (tsc, now_ns) at the given frequency. */
static void write_page(uint64_t tsc, uint64_t now_ns, uint64_t tsc_hz)
{
    struct vcpu_time_info *page = guest_page();
    uint64_t hz = tsc_hz;
    int8_t shift = 0;

    /* mul = 10^9 * 2^32 / (hz * 2^shift) must fit 32 bits, and use as many of them as it can. */
    while (hz > 2 * NS_PER_S) {
        hz >>= 1;
        shift--;
    }
    while (hz <= NS_PER_S) {
        hz <<= 1;
        shift++;
    }
    own.version += 2;
    own.tsc_timestamp = tsc;
    own.system_time = now_ns;
    own.tsc_shift = shift;
    own.tsc_to_system_mul = (uint32_t)((NS_PER_S << 32) / hz);
    own.flags = XEN_PVCLOCK_TSC_STABLE_BIT;

    page->version = own.version - 1;
    __asm__ volatile("" : : : "memory"); /* partner: the guest's reader, on this same CPU */
    page->tsc_timestamp = own.tsc_timestamp;
    page->system_time = own.system_time;
    page->tsc_shift = own.tsc_shift;
    page->tsc_to_system_mul = own.tsc_to_system_mul;
    page->flags = own.flags;
    __asm__ volatile("" : : : "memory");
    page->version = own.version;
}

void clock_learn(const struct sample *start)
{
    struct measurement got;

    if (!is_learning || cpu_rdtsc() - start->tsc < learnt_ticks * 2)
        return;

    struct sample end = measure_sample(&apic_device);

    /* Half of it at most, so that this ends: each change moves the clock's rate under the guest. */
    if (measure_between(&apic_device, start, &end, &got) || got.uncertainty > uncertainty / 2)
        return;

    uint64_t tsc = cpu_rdtsc();
    uint64_t now = clock_now_ns();

    learnt_ticks = end.tsc - start->tsc;
    uncertainty = got.uncertainty;
    write_page(tsc, now, got.tsc_hz);
}

/*
 * A clock of the host that is right but must be asked (an exit). The guest's follows it: the TSC
 * goes on from each time that it was asked, at the rate seen since the time before.
 */
static struct {
    int is_there;       /* the source is "hyperv" */
    uint64_t offset_ns; /* what it said at our time 0 */
    uint64_t last_tsc, last_ns;
    uint64_t interval_ns, interval_ticks; /* until it is asked again */
} followed;

#define FIRST_INTERVAL_NS 10000000
#define LONGEST_INTERVAL_NS NS_PER_S

/* The TSC and the followed clock at the same moment, as near as a few tries get. */
static void ask(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best_width = UINT64_MAX;

    for (unsigned int tries = 0; tries < 4; tries++) {
        uint64_t before = cpu_rdtsc();
        uint64_t now_ns = hyperv_now_ns();
        uint64_t width = cpu_rdtsc() - before;

        if (width < best_width) {
            best_width = width;
            *tsc = before + width / 2;
            *ns = now_ns;
        }
    }
}

static void note(uint64_t tsc, uint64_t ns, uint64_t interval_ns)
{
    followed.last_tsc = tsc;
    followed.last_ns = ns;
    followed.interval_ns = interval_ns;
    followed.interval_ticks = clock_tsc_ticks(interval_ns);
}

/* The TSC's rate since the last time; `otherwise` where the two say nothing sensible. */
static uint64_t rate_since_last(uint64_t tsc, uint64_t ns, uint64_t otherwise)
{
    uint64_t ticks = tsc - followed.last_tsc, passed_ns = ns - followed.last_ns;
    const uint64_t least_hz = 1000000, most_hz = 1000000 * 1000000ul;

    if (ticks >> 48 || passed_ns >> 48 || passed_ns < FIRST_INTERVAL_NS / 2)
        return otherwise;

    uint64_t hz = multiply_divide(ticks, NS_PER_S, passed_ns);

    return hz >= least_hz && hz <= most_hz ? hz : otherwise;
}

static void start_following(void)
{
    uint64_t tsc, ns;

    if (!followed.is_there)
        return;
    ask(&tsc, &ns);
    followed.offset_ns = ns - now_at(tsc);
    note(tsc, ns, FIRST_INTERVAL_NS);
}

void clock_follow(void)
{
    uint64_t tsc, ns;

    /* A TSC that went backwards is a reason to ask, too. */
    if (!followed.is_there || cpu_rdtsc() - followed.last_tsc < followed.interval_ticks)
        return;
    ask(&tsc, &ns);

    uint64_t hz = hyperv_tsc_hz() ?: rate_since_last(tsc, ns, clock_tsc_ticks(NS_PER_S));
    uint64_t ours_ns = now_at(tsc), theirs_ns = ns - followed.offset_ns;
    uint64_t next_ns = followed.interval_ns * 2;

    if (next_ns > LONGEST_INTERVAL_NS)
        next_ns = LONGEST_INTERVAL_NS;
    if (ours_ns > theirs_ns) { /* no way back: a slower clock, until the two meet */
        uint64_t ahead_ns = ours_ns - theirs_ns;

        if (ahead_ns > next_ns / 16)
            ahead_ns = next_ns / 16;
        hz += multiply_divide(hz, ahead_ns, next_ns);
    } else {
        ours_ns = theirs_ns;
    }
    write_page(tsc, ours_ns, hz);
    note(tsc, ns, next_ns);
}

/*
 * The sources. Each returns the TSC's frequency in Hz, or 0 where it cannot be had; kvmclock, which
 * writes the page itself, returns CLOCK_IS_WRITTEN.
 */
#define CLOCK_IS_WRITTEN (~0ul)

/* Of the sources in use, for the log. */
static const char *name, *details, *wall_name = "none";

static uint64_t by_kvmclock(void)
{
    is_hosts = kvm_start_clock(guest_page()) == 0;
    details = guest_page()->flags & XEN_PVCLOCK_TSC_STABLE_BIT ? "TSC stable" : "TSC not stable";
    return is_hosts ? CLOCK_IS_WRITTEN : 0;
}

/* Measured against the clock that is to be followed. */
static uint64_t by_followed(void)
{
    uint64_t tsc, ns, tries = 0;

    ask(&followed.last_tsc, &followed.last_ns);
    do
        ask(&tsc, &ns);
    while (ns - followed.last_ns < FIRST_INTERVAL_NS && ++tries < 1000000);
    return rate_since_last(tsc, ns, 0);
}

static uint64_t by_hyperv(void)
{
    if (hyperv_start_clock() != 0)
        return 0;

    uint64_t hz = hyperv_tsc_hz();

    details = hz ? "TSC page" : "counter";
    if (!hz)
        hz = by_followed();
    if (hz)
        apic_hz = hyperv_apic_hz() ?: apic_hz;
    followed.is_there = hz != 0;
    return hz;
}

static uint64_t by_vmware(void)
{
    uint32_t r[4];
    uint32_t leaf = host_leaf(HOST_VMWARE);

    /* KVM has the leaf under its own signature, too (QEMU's vmware-cpuid-freq). */
    if (!leaf)
        leaf = host_leaf(HOST_KVM);
    if (leaf != 0x40000000) /* else the leaf is somebody else's */
        return 0;
    host_cpuid(leaf, 0x40000010, r);
    if (!r[0])
        return 0;
    if (r[1])
        apic_hz = r[1] * 1000ul;
    return r[0] * 1000ul;
}

/* See APIC_HZ_VIRTUAL. */
static int apic_is_virtual(void)
{
    return host_leaf(HOST_TCG) || kvm_is_host();
}

static uint64_t by_cpuid(void)
{
    uint32_t r[4], leaf15[4], leaf16[4];

    cpu_cpuid(0x80000000, 0, r);
    if (r[0] < 0x80000007)
        return 0;
    cpu_cpuid(0x80000007, 0, r);
    if (!(r[3] & 1u << 8))
        return 0; /* the TSC's rate may change */
    host_cpuid(0, 0x15, leaf15);
    host_cpuid(0, 0x16, leaf16);

    struct tsc_rates rates = tsc_by_leaves(leaf15, leaf16);

    if (rates.crystal_hz && !apic_is_virtual())
        apic_hz = rates.crystal_hz;
    return rates.tsc_hz;
}

static uint64_t by_apic(void)
{
    struct measurement got;
    /* In the deadline mode nothing will be learnt later. */
    uint64_t ns = apic_has_deadline() ? MEASURE_BY_DEVICE_NS : MEASURE_BY_APIC_NS;

    if (!apic_is_virtual() || measure(&apic_device, ns, &got))
        return 0;
    is_learning = 1;
    learnt_ticks = multiply_divide(ns, got.tsc_hz, NS_PER_S);
    uncertainty = got.uncertainty;
    return got.tsc_hz;
}

/* By a device that tells the APIC timer's rate as well. */
static uint64_t by_device(const struct device_clock *device)
{
    struct measurement got;

    if (measure(device, MEASURE_BY_DEVICE_NS, &got))
        return 0;
    apic_hz = got.apic_hz;
    return got.tsc_hz;
}

static uint32_t read_pm_timer(void)
{
    return cpu_inl(acpi_pm_timer_port()); /* all ones: nobody there */
}

static uint64_t by_pmtimer(void)
{
    static const struct device_clock pm_timer = {3579545, 0xffffff, NULL, read_pm_timer};

    return acpi_pm_timer_port() ? by_device(&pm_timer) : 0;
}

/* The PIT's channel 2: its gate and output are bits of port 0x61. */
enum { PIT_DATA = 0x42, PIT_COMMAND = 0x43, GATE = 0x61, GATE_OPEN = 1, SPEAKER = 2, OUT = 0x20 };

static void start_pit(void)
{
    cpu_outb(GATE, (uint8_t)((cpu_inb(GATE) & ~SPEAKER) | GATE_OPEN));
    cpu_outb(PIT_COMMAND, 0xb0); /* channel 2, two bytes, mode 0: output rises at the end */
    cpu_outb(PIT_DATA, 0xff);
    cpu_outb(PIT_DATA, 0xff);
}

static uint32_t read_pit(void)
{
    cpu_outb(PIT_COMMAND, 0x80); /* latch channel 2 */

    uint32_t left = cpu_inb(PIT_DATA);

    left |= (uint32_t)cpu_inb(PIT_DATA) << 8;
    /* The end, 55 ms after the start, may have been long ago; and where nobody is, all bits are 1.
     */
    return cpu_inb(GATE) & OUT ? UINT32_MAX : 0xffff - left;
}

static uint64_t by_pit(void)
{
    static const struct device_clock pit = {1193182, 0xffff, start_pit, read_pit};

    return by_device(&pit);
}

static const struct {
    const char *name;
    uint64_t (*tsc_hz)(void);
} sources[] = {
    {"kvmclock", by_kvmclock}, {"hyperv", by_hyperv},   {"vmware", by_vmware}, {"cpuid", by_cpuid},
    {"apic", by_apic},         {"pmtimer", by_pmtimer}, {"pit", by_pit},
};

#define NR_SOURCES (sizeof(sources) / sizeof(sources[0]))

static int is_name(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

void clock_report(void)
{
    print("parvus: clock: %s%s%s\n", name, *details ? ", " : "", details);
    print("parvus: wall clock: %s\n", wall_name);
}

/* It counts whole seconds, and a boot does not wait for the next: half of one has passed. */
#define RTC_MEAN_NS (NS_PER_S / 2)

static void start_wall_clock(void)
{
    struct shared_info *info = domain.shared_info;

    if (kvm_start_wall_clock(info) == 0) {
        wall_name = "kvm";
        return;
    }

    uint64_t rtc_s = rtc_read_s();

    if (!rtc_s)
        return; /* the guest's begins in 1970 */
    wall_name = "rtc";

    uint64_t boot_ns = rtc_s * NS_PER_S + RTC_MEAN_NS - clock_now_ns();
    uint64_t boot_s = boot_ns / NS_PER_S;

    info->wc_version++;
    __asm__ volatile("" : : : "memory");
    info->wc_sec = (uint32_t)boot_s;
    info->wc_sec_hi = (uint32_t)(boot_s >> 32);
    info->wc_nsec = (uint32_t)(boot_ns % NS_PER_S);
    __asm__ volatile("" : : : "memory");
    info->wc_version++;
}

void clock_init(const char *wanted)
{
    uint64_t hz = 0;
    int is_known = !*wanted;

    for (unsigned int i = 0; i < NR_SOURCES && !hz; i++) {
        if (*wanted && !is_name(wanted, sources[i].name))
            continue;
        is_known = 1;
        name = sources[i].name;
        details = "";
        hz = sources[i].tsc_hz();
    }
    if (!is_known)
        boot_fail("clock=%s: there is no such clock", wanted);
    if (!hz && *wanted)
        boot_fail("clock=%s: this machine does not have it", wanted);
    if (!hz)
        boot_fail("this machine has no clock that is known here");
    if (hz != CLOCK_IS_WRITTEN)
        write_page(cpu_rdtsc(), 0, hz);
    start_following();
    start_wall_clock();
}
