/*
 * What a transport (mmio.c, pci.c) offers the core (virtio.c), and the core the transports. Private
 * to kernel/virtio/.
 *
 * A transport finds devices and calls virtio_found for each. Operations are called in threads while
 * the device is probed, one at a time; `status`, `set_status`, `config` and `notify` in any
 * context.
 */
#ifndef KERNEL_VIRTIO_TRANSPORT_H
#define KERNEL_VIRTIO_TRANSPORT_H

#include "kernel/virtio/virtio.h"

struct virtio_transport {
    const char *name; /* "mmio" */
    size_t bus_bytes; /* of what dev->bus points to */
    /* Device status (section 2.1); a read of all ones: the device is gone. */
    uint8_t (*status)(struct virtio_device *dev);
    void (*set_status)(struct virtio_device *dev, uint8_t status);
    uint64_t (*features)(struct virtio_device *dev);
    void (*set_features)(struct virtio_device *dev, uint64_t features);
    /* Device-specific configuration: one access of 1, 2 or 4 bytes. -EINVAL: there is none there.
     */
    int (*config_read)(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t *value);
    int (*config_write)(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t value);
    uint32_t (*config_generation)(struct virtio_device *dev);
    /* Entries that queue `index` may have, 0: there is no such queue. */
    unsigned (*queue_max)(struct virtio_device *dev, unsigned index);
    /* All queues are known: from here on the device's interrupts reach us. */
    int (*bind)(struct virtio_device *dev);
    void (*unbind)(struct virtio_device *dev);
    /* Behind bind: tells the device where the queue is, and enables it. */
    int (*queue_enable)(struct virtio_queue *q);
    void (*notify)(struct virtio_queue *q);
};

/* A device of type device_id at `place` (for messages): finds its driver and probes it. *bus is
 * copied. Not 0: the device is of no use, and what *bus refers to is the transport's again. */
int virtio_found(const struct virtio_transport *transport, const void *bus, uint32_t device_id,
                 const char *place);

/* Interrupts (section 2.3). Event context. */
void virtio_queues_used(struct virtio_device *dev); /* some queue, it is not known which */
void virtio_queue_used(struct virtio_queue *q);
void virtio_config_changed(struct virtio_device *dev);

void virtio_mmio_scan(void);
void virtio_pci_scan(void);

#endif
