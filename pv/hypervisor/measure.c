/* See measure.h. */
#include "pv/hypervisor/measure.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/math.h"

#define NS_PER_S 1000000000ul
#define SAMPLE_TRIES 4
/* Far more samples than a device that counts needs. */
#define MOST_SAMPLES 1000000
#define ATTEMPTS 5

struct sample measure_start_apic(uint32_t ticks)
{
    uint64_t before = cpu_rdtsc();

    apic_timer_start(ticks);

    uint64_t width = cpu_rdtsc() - before;

    return (struct sample){before + width / 2, width, ~ticks, ticks};
}

struct sample measure_sample(const struct device_clock *device)
{
    struct sample best = {.width = UINT64_MAX};

    for (unsigned int tries = 0; tries < SAMPLE_TRIES; tries++) {
        struct sample sample;
        uint64_t before = cpu_rdtsc();

        sample.apic_left = apic_timer_left();
        sample.count = device->read ? device->read() : ~sample.apic_left;
        sample.width = cpu_rdtsc() - before;
        sample.tsc = before + sample.width / 2;
        if (sample.width < best.width)
            best = sample;
    }
    return best;
}

int measure_between(const struct device_clock *device, const struct sample *start,
                    const struct sample *end, struct measurement *out)
{
    uint64_t count = (end->count - start->count) & device->mask;
    uint64_t ticks = end->tsc - start->tsc, apic_ticks = start->apic_left - end->apic_left;
    uint64_t width = start->width + end->width;

    /* An APIC timer at its end may have been there for long. */
    if (start->count == UINT32_MAX || end->count == UINT32_MAX || !end->apic_left || !count ||
        ticks <= width)
        return -EAGAIN;
    out->tsc_hz = multiply_divide(ticks, device->hz, count);
    out->apic_hz = multiply_divide(apic_ticks, device->hz, count);
    out->uncertainty = multiply_divide(width, 1ul << 32, ticks);
    return out->tsc_hz ? 0 : -EAGAIN;
}

static int attempt(const struct device_clock *device, uint64_t count, struct measurement *out)
{
    measure_start_apic(UINT32_MAX);
    if (device->start)
        device->start();
    measure_sample(device); /* the first run of code is slow where it is translated */

    struct sample start = measure_sample(device), end;
    unsigned int samples = 0;

    do
        end = measure_sample(device);
    while (end.count != UINT32_MAX && ((end.count - start.count) & device->mask) < count &&
           ++samples < MOST_SAMPLES);
    return measure_between(device, &start, &end, out);
}

int measure(const struct device_clock *device, uint64_t ns, struct measurement *out)
{
    uint64_t count = multiply_divide(ns, device->hz, NS_PER_S);

    for (unsigned int attempts = 0; attempts < ATTEMPTS; attempts++)
        if (attempt(device, count, out) == 0)
            return 0;
    return -ENODEV;
}
