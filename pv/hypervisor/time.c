/*
 * See time.h. Xen: public/xen.h, struct vcpu_time_info. KVM: Documentation/virt/kvm/x86/msr.rst
 * (MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW).
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/time.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/rtc.h"

#define NS_PER_S 1000000000ul

#define CPUID_HYPERVISOR 0x40000000
#define CPUID_KVM_FEATURES 0x40000001
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

/*
 * QEMU's and KVM's APIC timers count nanoseconds (QEMU hw/intc/apic_common.c; KVM's
 * KVM_CAP_X86_APIC_BUS_CYCLES_NS has that default). On other machines their clock is measured.
 */
#define APIC_HZ_VIRTUAL NS_PER_S

/* The first calibration, in PIT or APIC ticks; the APIC's goes on in the background. */
#define CALIBRATION_NS 10000
#define PIT_HZ 1193182
#define PIT_CALIBRATION_TICKS 11932 /* 10 ms */

/* The longest that the timer is set for; it is set again when more is needed. */
#define MAX_TIMER_NS (4 * NS_PER_S)

static uint64_t apic_hz = APIC_HZ_VIRTUAL;
static int clock_is_hosts; /* kvmclock writes the page */

/* Deadlines; 0: none. The APIC timer is set for the earlier one. */
static uint64_t timer_deadline, wakeup_deadline;
static int wakeup_is_due;

/*
 * What the TSC is measured against while the APIC timer runs: both were read at its start.
 */
static struct {
    uint64_t tsc;
    uint32_t ticks;      /* programmed; 0: not running */
    uint64_t longest_ns; /* the longest measurement so far */
} reference;

static struct vcpu_time_info *clock_page(void)
{
    return &domain.shared_info->vcpu_info[0].time;
}

/* a * b / c with a 128-bit product; the quotient must fit 64 bits. */
static uint64_t multiply_divide(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t high;

    __asm__("mulq %2\n\tdivq %3" : "+a"(a), "=&d"(high) : "r"(b), "r"(c) : "cc");
    return a;
}

static uint64_t scale(uint64_t tsc_delta, const struct vcpu_time_info *time)
{
    if (time->tsc_shift >= 0)
        tsc_delta <<= time->tsc_shift;
    else
        tsc_delta >>= -time->tsc_shift;
    return (uint64_t)((unsigned __int128)tsc_delta * time->tsc_to_system_mul >> 32);
}

/* With kvmclock another CPU of the host may write: read until the version stands still. */
uint64_t time_now_ns(void)
{
    const volatile struct vcpu_time_info *page = clock_page();

    for (;;) {
        uint32_t version = page->version;

        __asm__ volatile("" : : : "memory");

        struct vcpu_time_info copy = *(const struct vcpu_time_info *)page;
        uint64_t tsc = cpu_rdtsc();

        __asm__ volatile("" : : : "memory");
        if (!(version & 1) && version == page->version)
            return copy.system_time + scale(tsc - copy.tsc_timestamp, &copy);
    }
}

/* The clock goes on from (tsc, now_ns) at the given frequency. */
static void write_clock(uint64_t tsc, uint64_t now_ns, uint64_t tsc_hz)
{
    struct vcpu_time_info *page = clock_page();
    uint64_t ns_per_2_32 = NS_PER_S;
    uint64_t hz = tsc_hz;
    int8_t shift = 0;

    /* mul = 10^9 * 2^32 / (hz * 2^shift) must fit 32 bits and keep its top bit. */
    while (hz > 2 * NS_PER_S) {
        hz >>= 1;
        shift--;
    }
    while (hz <= NS_PER_S) {
        hz <<= 1;
        shift++;
    }
    page->version++;
    __asm__ volatile("" : : : "memory"); /* partner: the guest's reader, on this same CPU */
    page->tsc_timestamp = tsc;
    page->system_time = now_ns;
    page->tsc_shift = shift;
    page->tsc_to_system_mul = (uint32_t)((ns_per_2_32 << 32) / hz);
    page->flags = XEN_PVCLOCK_TSC_STABLE_BIT;
    __asm__ volatile("" : : : "memory");
    page->version++;
}

/*
 * The APIC timer has run since reference.tsc: the longer that was, the better it tells the TSC's
 * frequency. Called before the timer is set anew.
 */
static void refine_clock(void)
{
    if (clock_is_hosts || !reference.ticks)
        return;

    uint32_t left = apic_timer_left();
    uint64_t tsc = cpu_rdtsc();

    if (!left)
        return; /* it ended, who knows when */

    uint64_t ns = (uint64_t)(reference.ticks - left) * NS_PER_S / apic_hz;

    if (ns <= reference.longest_ns * 2)
        return;

    uint64_t now = time_now_ns();

    reference.longest_ns = ns;
    write_clock(tsc, now, multiply_divide(tsc - reference.tsc, NS_PER_S, ns));
}

static void start_apic_timer(uint64_t delta_ns)
{
    uint64_t ticks =
        multiply_divide(delta_ns < MAX_TIMER_NS ? delta_ns : MAX_TIMER_NS, apic_hz, NS_PER_S) + 1;

    reference.ticks = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
    reference.tsc = cpu_rdtsc();
    apic_timer_start(reference.ticks);
}

/* Set the APIC timer for the next deadline; what is due already is delivered. */
static void update_timer(void)
{
    uint64_t now = time_now_ns();

    if (timer_deadline && timer_deadline <= now) {
        timer_deadline = 0;
        event_send_virq(VIRQ_TIMER);
    }
    if (wakeup_deadline && wakeup_deadline <= now) {
        wakeup_deadline = 0;
        wakeup_is_due = 1;
    }

    uint64_t next = timer_deadline;

    if (wakeup_deadline && (!next || wakeup_deadline < next))
        next = wakeup_deadline;
    refine_clock();
    if (next) {
        start_apic_timer(next - now);
    } else if (!clock_is_hosts && !reference.ticks) {
        /* Nothing to wait for: the timer serves to measure the TSC. */
        start_apic_timer(MAX_TIMER_NS);
    }
}

void time_set_timer(uint64_t deadline_ns)
{
    timer_deadline = deadline_ns;
    update_timer();
}

void time_set_wakeup(uint64_t deadline_ns)
{
    wakeup_deadline = deadline_ns;
    wakeup_is_due = 0;
    update_timer();
}

int time_wakeup_is_due(void)
{
    return wakeup_is_due;
}

void time_interrupt(void)
{
    apic_eoi();
    reference.ticks = 0;
    update_timer();
}

static int is_hypervisor(const char signature[12])
{
    uint32_t r[4];

    cpu_cpuid(CPUID_HYPERVISOR, 0, r);
    return __builtin_memcmp(&r[1], signature, 12) == 0;
}

static int use_kvmclock(void)
{
    uint32_t r[4];

    if (!is_hypervisor("KVMKVMKVM\0\0"))
        return 0;
    cpu_cpuid(CPUID_KVM_FEATURES, 0, r);
    if (!(r[0] & KVM_FEATURE_CLOCKSOURCE2))
        return 0;
    cpu_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, virtual_to_machine(clock_page()) | 1);
    clock_is_hosts = 1;
    return 1;
}

/* Measure the TSC against PIT channel 2 (Intel 8254; its gate and output are in port 0x61). */
static void calibrate_by_pit(uint64_t *tsc_hz)
{
    uint8_t gate = (cpu_inb(0x61) & ~2) | 1;

    apic_timer_start(UINT32_MAX);
    cpu_outb(0x61, gate);
    cpu_outb(0x43, 0xb0); /* channel 2, two bytes, mode 0, binary */
    cpu_outb(0x42, PIT_CALIBRATION_TICKS & 0xff);
    cpu_outb(0x42, PIT_CALIBRATION_TICKS >> 8);

    uint64_t tsc = cpu_rdtsc();
    uint32_t left = apic_timer_left();
    unsigned int tries = 0;

    while (!(cpu_inb(0x61) & 0x20))
        if (++tries == 10000000)
            boot_fail("no clock: no kvmclock, no known APIC timer, and the PIT does not count");

    uint32_t apic_ticks = left - apic_timer_left();

    *tsc_hz = (cpu_rdtsc() - tsc) * PIT_HZ / PIT_CALIBRATION_TICKS;
    apic_hz = (uint64_t)apic_ticks * PIT_HZ / PIT_CALIBRATION_TICKS;
}

static uint64_t measure_tsc(void)
{
    uint64_t tsc_hz;

    if (!is_hypervisor("TCGTCGTCGTCG") && !is_hypervisor("KVMKVMKVM\0\0")) {
        calibrate_by_pit(&tsc_hz);
        return tsc_hz;
    }
    apic_timer_start(UINT32_MAX);

    uint32_t left, start = apic_timer_left();
    uint64_t tsc = cpu_rdtsc();

    do
        left = apic_timer_left();
    while (start - left < CALIBRATION_NS);
    return (cpu_rdtsc() - tsc) * NS_PER_S / (start - left);
}

static void start_wall_clock(void)
{
    struct shared_info *info = domain.shared_info;
    uint64_t boot_s = rtc_read_s() - time_now_ns() / NS_PER_S;

    info->wc_version++;
    info->wc_sec = (uint32_t)boot_s;
    info->wc_sec_hi = (uint32_t)(boot_s >> 32);
    info->wc_nsec = 0;
    info->wc_version++;
}

void time_init(void)
{
    if (use_kvmclock()) {
        /* struct pvclock_wall_clock: version, sec, nsec, as shared_info has them. */
        cpu_wrmsr(MSR_KVM_WALL_CLOCK_NEW, virtual_to_machine(&domain.shared_info->wc_version));
        return;
    }

    uint64_t tsc_hz = measure_tsc();

    write_clock(cpu_rdtsc(), 0, tsc_hz);
    start_apic_timer(MAX_TIMER_NS);
    start_wall_clock();
}
