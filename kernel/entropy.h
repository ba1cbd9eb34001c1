/*
 * Random bytes of a device: between its driver (kernel/virtio/rng.c) and libc-glue's getentropy.
 * The device that is found first serves all.
 */
#ifndef KERNEL_ENTROPY_H
#define KERNEL_ENTROPY_H

#include <stddef.h>

struct entropy_source {
    /* Fills the buffer. May sleep, for as long as the host takes. -EIO: the device broke. */
    int (*read)(struct entropy_source *source, void *buffer, size_t bytes);
};

/* Driver, at boot. */
void entropy_register(struct entropy_source *source);

/* Threads only, may sleep. -ENODEV: there is no such device. */
int entropy_read(void *buffer, size_t bytes);

#endif
