/*
 * A virtio device that lies (virtio_device.c), behind a transport of its own: features,
 * configuration, status, the used rings. What it does the input says.
 */
#ifndef TESTS_FUZZ_HOST_VIRTIO_DEVICE_H
#define TESTS_FUZZ_HOST_VIRTIO_DEVICE_H

#include <stdint.h>

#include "kernel/virtio/virtio.h"
#include "tests/fuzz/host/fuzz.h"

extern struct virtio_device *virtio_device;
extern uint8_t virtio_device_status;

/* As virtio_found. Its configuration has so many bytes. */
int virtio_device_plug(struct fuzz_input *in, uint32_t device_id, unsigned config_bytes);

/* It does something with queue what & 1, or its status. */
void virtio_device_step(uint8_t what);

#endif
