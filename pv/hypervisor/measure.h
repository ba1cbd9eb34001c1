/*
 * The TSC and the APIC timer measured against a device that counts at a known rate. The machine
 * below may stop us at any time, so the device is read between two readings of the TSC, a few times
 * over, and the narrowest reading counts. Ring 0.
 */
#ifndef HYPERVISOR_MEASURE_H
#define HYPERVISOR_MEASURE_H

#include <stdint.h>

struct device_clock {
    uint64_t hz;
    uint32_t mask;       /* of the bits that it counts with, upwards */
    void (*start)(void); /* NULL: it always counts */
    /* UINT32_MAX: no answer, or one not to be relied on. NULL: the device is the APIC timer. */
    uint32_t (*read)(void);
};

/* The TSC was `tsc`, give or take width / 2, when the device had counted to `count`. */
struct sample {
    uint64_t tsc, width;
    uint32_t count, apic_left;
};

struct measurement {
    uint64_t tsc_hz, apic_hz;
    uint64_t uncertainty; /* of tsc_hz, in parts of 2^32 */
};

/* Starts the APIC timer, with `ticks` to go. */
struct sample measure_start_apic(uint32_t ticks);
struct sample measure_sample(const struct device_clock *device);

/* 0, or -EAGAIN: the two say nothing. */
int measure_between(const struct device_clock *device, const struct sample *start,
                    const struct sample *end, struct measurement *out);

/* Counts for at least `ns`, a second at most. 0, or -ENODEV: the device does not count. */
int measure(const struct device_clock *device, uint64_t ns, struct measurement *out);

#endif
