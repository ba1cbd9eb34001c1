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
#include "pv/hypercall.h"
#include "pv/pv.h"

#define READS 256

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

void bench_clock(void)
{
    bench_loop("clock.tsc", READS, by_tsc, NULL);
    bench_loop("clock.page", READS, by_page, NULL);
    bench_loop("clock.libc", READS, by_libc, NULL);
    bench_loop("clock.hypercall", READS, by_hypercall, NULL);
    bench_missing("clock.device", "the kernel has no function for port access");
}
