/*
 * Reading the time: from the page shared with the hypervisor, by a hypercall, through libc.
 *
 * A device's clock (ACPI PM timer, RTC) needs port access, for which the kernel has no function
 * yet.
 *
 * Ring 3. ABI: xen.h, struct vcpu_time_info; vcpu.h, VCPUOP_get_runstate_info.
 */
#include "apps/pvbench/pvbench.h"

#include <stddef.h>
#include <time.h>

#include "apps/pvbench/bench.h"
#include "kernel/fault.h"
#include "pv/hypercall.h"
#include "pv/pv.h"

#define READS 256
#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_SECONDS 0
#define PM_TIMER 0x608
#define NO_DEVICE 0xffffffffu

static void by_tsc(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        bench_tsc();
}

static void by_page(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        pv_clock_monotonic_ns();
}

static void by_libc(unsigned n, void *arg)
{
    struct timespec now;

    (void)arg;
    while (n--)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

/* Its answer holds the current time: that of every state, and since when the present one is. */
static void by_hypercall(unsigned n, void *arg)
{
    struct vcpu_runstate_info info;

    (void)arg;
    while (n--)
        hypervisor_vcpu_op(VCPUOP_get_runstate_info, pv_cpu(), &info);
}

static uint32_t read_rtc(void)
{
    pv_port_write(RTC_INDEX, 1, RTC_SECONDS);
    return pv_port_read(RTC_DATA, 1);
}

static uint32_t read_pm_timer(void)
{
    return pv_port_read(PM_TIMER, 4);
}

static void by_rtc(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        read_rtc();
}

static void by_pm_timer(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        read_pm_timer();
}

/* For fault_catch: whether there is a device, and whether it is ours to use. */
static void try_rtc(void *seconds)
{
    *(uint32_t *)seconds = read_rtc();
}

static void try_pm_timer(void *count)
{
    *(uint32_t *)count = read_pm_timer();
}

static void by_device(const char *figure, void (*attempt)(void *), uint32_t none, bench_fn *fn)
{
    uint32_t value = none;
    struct fault fault;

    if (pv_port_enable() || fault_catch(attempt, &value, &fault))
        bench_missing(figure, "the hypervisor keeps its ports");
    else if (value == none)
        bench_missing(figure, "no device answers to this guest");
    else
        bench_loop(figure, READS, fn, NULL);
}

void bench_clock(void)
{
    bench_loop("clock.tsc", READS, by_tsc, NULL);
    bench_loop("clock.page", READS, by_page, NULL);
    bench_loop("clock.libc", READS, by_libc, NULL);
    bench_loop("clock.hypercall", READS, by_hypercall, NULL);
    by_device("clock.rtc", try_rtc, NO_DEVICE & 0xff, by_rtc);
    by_device("clock.pm_timer", try_pm_timer, NO_DEVICE, by_pm_timer);
}
