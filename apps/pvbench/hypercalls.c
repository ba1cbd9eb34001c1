/*
 * The cost of asking the hypervisor at all: one hypercall, and each of those in a multicall.
 *
 * Ring 3. ABI: xen.h, HYPERVISOR_xen_version, multicall_entry.
 */
#include "apps/pvbench/pvbench.h"

#include <stdio.h>

#include "apps/pvbench/bench.h"
#include "pv/hypercall.h"

#define LARGEST 512
#define CALLS 256

static struct multicall_entry calls[LARGEST];

static void null_hypercall(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        hypervisor_xen_version(XENVER_version, NULL);
}

static void sched_yield_hypercall(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        hypervisor_sched_op(SCHEDOP_yield, NULL);
}

static void multicalls(unsigned batch)
{
    char figure[32];

    for (unsigned i = 0; i < batch; i++)
        calls[i] =
            (struct multicall_entry){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
    snprintf(figure, sizeof(figure), "call.multicall.%u", batch);

    struct bench b = {.figure = figure, .n = LARGEST};
    while (bench_wants(&b)) {
        bench_start(&b);
        for (unsigned done = 0; done < LARGEST; done += batch)
            hypervisor_multicall(calls, batch);
        bench_stop(&b);
    }
    bench_report(&b);
}

void bench_hypercalls(void)
{
    bench_loop("call.null", CALLS, null_hypercall, NULL);
    bench_loop("call.yield", CALLS, sched_yield_hypercall, NULL);
    for (unsigned batch = 1; batch <= LARGEST; batch *= 8)
        multicalls(batch);
}
