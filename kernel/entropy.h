/*
 * Random bytes to seed generators with: the processor's, a device's (kernel/virtio/rng.c; the one
 * that is found first serves all), or at last the jitter of the clock. libc-glue/random.c makes
 * what applications get of them.
 */
#ifndef KERNEL_ENTROPY_H
#define KERNEL_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

struct entropy_source {
    /* Fills the buffer. May sleep, for as long as the host takes. -EIO: the device broke. */
    int (*read)(struct entropy_source *source, void *buffer, size_t bytes);
};

/* Driver, at boot. */
void entropy_register(struct entropy_source *source);

/* The device's. Threads only, may sleep. -ENODEV: there is no such device. */
int entropy_read(void *buffer, size_t bytes);

/* A number for what is needed before devices are: the processor's, or jitter, good or bad. Works
 * from the first instruction on. */
uint64_t entropy_early(void);

/* The best bytes that there are; *source: what they came from. Threads only, may sleep. -ENOSYS:
 * the machine has nothing random. */
enum entropy_from { ENTROPY_PROCESSOR, ENTROPY_DEVICE, ENTROPY_JITTER };
int entropy_seed(void *buffer, size_t bytes, enum entropy_from *source);

/* For a generator that was seeded by jitter: mixes a little more of it into the pool, quickly. Two
 * systems restored from one image get others, with 2^-32 the same. */
void entropy_stir(uint64_t pool[4]);

#endif
