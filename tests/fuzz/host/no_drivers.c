/* The drivers of kernel/virtio/virtio.c's list that a fuzzer of another one leaves out. */
#include "kernel/virtio/transport.h"

const struct virtio_driver virtio_balloon_driver, virtio_blk_driver, virtio_console_driver,
    virtio_rng_driver;

void virtio_mmio_scan(void) {}
__attribute__((weak)) void virtio_pci_scan(void) {}
