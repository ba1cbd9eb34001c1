/* The drivers of kernel/virtio/virtio.c's list that a fuzzer of another one leaves out. */
#include "kernel/virtio/transport.h"

#define NO_DRIVER                                                                                  \
    {                                                                                              \
        .name = "none", .device_id = UINT32_MAX                                                    \
    }

const struct virtio_driver virtio_balloon_driver = NO_DRIVER, virtio_blk_driver = NO_DRIVER,
                           virtio_console_driver = NO_DRIVER, virtio_p9_driver = NO_DRIVER,
                           virtio_rng_driver = NO_DRIVER;

void virtio_mmio_scan(void) {}
__attribute__((weak)) void virtio_pci_scan(void) {}
