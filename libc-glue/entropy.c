/*
 * getentropy: random bytes from the processor, else from a device, or an honest ENOSYS. Seeds
 * newlib's arc4random.
 *
 * Source: Intel SDM volume 1, 7.3.17 (rdrand; ten tries, as recommended there).
 */
#include <cpuid.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kernel/entropy.h"
#include "libc-glue/glue.h"

#define ENTROPY_MAX_BYTES 256 /* POSIX.1-2024 */
#define RDRAND_TRIES 10

static bool has_rdrand(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_RDRND) != 0;
}

static bool rdrand(unsigned long *out)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        bool valid;

        __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(valid));
        if (valid)
            return true;
    }
    return false;
}

int getentropy(void *buffer, size_t bytes)
{
    char *out = buffer;

    if (bytes > ENTROPY_MAX_BYTES)
        return glue_result(-EIO);
    if (!has_rdrand()) {
        int error = entropy_read(buffer, bytes);

        return glue_result(error == -ENODEV ? -ENOSYS : error);
    }
    while (bytes > 0) {
        unsigned long random;
        size_t part = bytes < sizeof(random) ? bytes : sizeof(random);

        if (!rdrand(&random))
            return glue_result(-EIO);
        memcpy(out, &random, part);
        out += part;
        bytes -= part;
    }
    return 0;
}
