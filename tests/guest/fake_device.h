/*
 * A virtio device of our own below a driver of the kernel's: a transport whose device is a few
 * functions of a test, honest or not. Devices cannot be unplugged: each stays for ever.
 */
#ifndef TESTS_GUEST_FAKE_DEVICE_H
#define TESTS_GUEST_FAKE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/virtio/virtio.h"

struct fake_device {
    uint32_t device_id; /* VIRTIO_ID_* */
    uint64_t features;  /* of its type */
    unsigned nr_queues;
    uint8_t config[16];
    /* The driver has notified it of a queue. It is in the driver's thread. */
    void (*notified)(struct fake_device *device, struct virtio_queue *queue);

    /* Ours. */
    struct virtio_device *dev;
    uint8_t status;
    uint16_t taken[VIRTIO_MAX_QUEUES];
};

/* As virtio_found. */
int fake_device_plug(struct fake_device *device);

/* The head of the next buffer, or -1; the address and size of its first descriptor. */
int fake_device_take(struct fake_device *device, struct virtio_queue *queue, uint64_t *address,
                     uint32_t *bytes);
/* All descriptors of a buffer that is in the ring itself. How many; at most `max` are told of. */
struct fake_piece {
    uint64_t address;
    uint32_t bytes;
    bool is_writable;
};
unsigned fake_device_pieces(struct virtio_queue *queue, unsigned head, struct fake_piece *out,
                            unsigned max);
/* What it writes into the used ring; then the interrupt. */
void fake_device_use(struct virtio_queue *queue, uint32_t id, uint32_t bytes);
void fake_device_jump(struct virtio_queue *queue, uint16_t by); /* of the used index */
void fake_device_interrupt(struct virtio_queue *queue);
void fake_device_config_changed(struct fake_device *device);

#endif
