/*
 * Measures the paravirtual interface on whatever hypervisor it runs on: prints the host and then
 * one line of JSON a figure (bench.h), and at last {"end": true}. tools/benchlib/pvbench.py runs it
 * on every host there is.
 *
 * usage: pvbench [--trace FIGURE]
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "apps/pvbench/bench.h"
#include "apps/pvbench/pvbench.h"
#include "pv/abi.h"
#include "pv/shared.h"

#define CPUID_HYPERVISOR 0x40000000
#define NS_PER_S 1000000000ull

/* What ticks make a second: the inverse of the clock formula (xen.h, struct vcpu_time_info). */
static uint64_t tsc_hz(void)
{
    const struct vcpu_time_info *time = &pv_vcpu()->time;
    uint64_t hz = (NS_PER_S << 32) / time->tsc_to_system_mul;

    return time->tsc_shift < 0 ? hz << -time->tsc_shift : hz >> time->tsc_shift;
}

static uint32_t features(uint32_t submap)
{
    struct xen_feature_info info = {.submap_idx = submap};

    return hypervisor_xen_version(XENVER_get_features, &info) == 0 ? info.submap : 0;
}

static void print_host(uint64_t hz)
{
    char extra[XEN_EXTRAVERSION_LEN + 1] = "", signature[13] = "";
    long version = hypervisor_xen_version(XENVER_version, NULL);
    uint32_t leaf;
    uint32_t *words = (uint32_t *)signature;

    hypervisor_xen_version(XENVER_extraversion, extra);
    __cpuid(CPUID_HYPERVISOR, leaf, words[0], words[1], words[2]);
    for (char *c = signature; *c; c++) /* it is nobody's promise that these are letters */
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    printf("{\"host\": {\"magic\": \"%s\", \"version\": \"%ld.%ld%s\", \"xen_features\": %u, "
           "\"parvus_features\": %u, \"cpuid\": \"%s\", \"tsc_hz\": %llu, "
           "\"tsc_stable\": %s, \"pages\": %llu}}\n",
           pv_boot.hypervisor, version >> 16, version & 0xffff, extra, (unsigned)features(0),
           (unsigned)features(PARVUS_FEATURE_SUBMAP), signature, (unsigned long long)hz,
           pv_vcpu()->time.flags & XEN_PVCLOCK_TSC_STABLE_BIT ? "true" : "false",
           (unsigned long long)pv_boot.nr_pages);
}

int main(int argc, char **argv)
{
    const char *traced = argc == 3 && strcmp(argv[1], "--trace") == 0 ? argv[2] : NULL;

    if (argc != 1 && !traced) {
        fprintf(stderr, "usage: pvbench [--trace FIGURE]\n");
        return 2;
    }
    uint64_t hz = tsc_hz();

    print_host(hz);
    bench_init(hz, traced);
    bench_hypercalls();
    bench_privileged();
    bench_pagetable();
    bench_memory();
    bench_clock();
    bench_events(hz);
    bench_interrupts();
    bench_threads();
    printf("{\"end\": true}\n");
    return 0;
}
