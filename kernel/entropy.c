/*
 * See entropy.h. The device is set at boot, in one thread. Locks: the device's own.
 *
 * Source: Intel SDM volume 1, 7.3.17 (rdrand; ten tries, as recommended there).
 */
#include "kernel/entropy.h"

#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/jitter.h"

#define RDRAND_TRIES 10

static struct entropy_source *device;

void entropy_register(struct entropy_source *source)
{
    if (!device)
        device = source;
}

int entropy_read(void *buffer, size_t bytes)
{
    return device ? device->read(device, buffer, bytes) : -ENODEV;
}

/* -ENODEV: the processor has no generator. Some that are broken answer with all ones for ever. */
static int processor_number(uint64_t *out)
{
    unsigned eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_RDRND))
        return -ENODEV;
    for (int i = 0; i < RDRAND_TRIES; i++) {
        bool valid;

        asm volatile("rdrand %0" : "=r"(*out), "=@ccc"(valid));
        if (valid && *out != UINT64_MAX)
            return 0;
    }
    return -EIO;
}

static int processor_read(void *buffer, size_t bytes)
{
    int error = 0;

    for (char *out = buffer; bytes && !error;) {
        uint64_t number;
        size_t part = bytes < sizeof(number) ? bytes : sizeof(number);

        error = processor_number(&number);
        memcpy(out, &number, part);
        out += part;
        bytes -= part;
    }
    return error;
}

uint64_t entropy_early(void)
{
    uint64_t number, pool[4] = {0};

    if (processor_number(&number) == 0)
        return number;
    jitter_gather(pool);
    return pool[0];
}

static int jitter_read(void *buffer, size_t bytes)
{
    int error = 0;

    for (char *out = buffer; bytes && !error;) {
        uint64_t pool[4] = {0};
        size_t part = bytes < sizeof(pool) ? bytes : sizeof(pool);

        error = jitter_gather(pool);
        memcpy(out, pool, part);
        out += part;
        bytes -= part;
    }
    return error;
}

int entropy_seed(void *buffer, size_t bytes, enum entropy_from *source)
{
    *source = ENTROPY_PROCESSOR;
    if (processor_read(buffer, bytes) == 0)
        return 0;
    *source = ENTROPY_DEVICE;
    if (entropy_read(buffer, bytes) == 0)
        return 0;
    *source = ENTROPY_JITTER;
    return jitter_read(buffer, bytes) == 0 ? 0 : -ENOSYS;
}

void entropy_stir(uint64_t pool[4])
{
    jitter_stir(pool);
}
