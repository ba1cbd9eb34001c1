/* The drivers of kernel/virtio/virtio.c's list that a fuzzer of another one leaves out. */
#include <errno.h>

#include "kernel/virtio/transport.h"

static int probe(struct virtio_device *dev)
{
    (void)dev;
    return -ENODEV;
}

#define NO_DRIVER                                                                                  \
    {                                                                                              \
        .name = "none", .device_id = UINT32_MAX, .probe = probe                                    \
    }

#define NONE(name) __attribute__((weak)) const struct virtio_driver name = NO_DRIVER

NONE(virtio_balloon_driver);
NONE(virtio_blk_driver);
NONE(virtio_console_driver);
NONE(virtio_net_driver);
NONE(virtio_p9_driver);
NONE(virtio_rng_driver);

__attribute__((weak)) void virtio_mmio_scan(void) {}
__attribute__((weak)) void virtio_pci_scan(void) {}
