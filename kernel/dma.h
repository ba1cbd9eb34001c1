/*
 * Memory as devices see it: by machine address. Frames that follow one another in the guest's
 * addresses need not do so in the machine, so an address is good to the end of its page only.
 */
#ifndef KERNEL_DMA_H
#define KERNEL_DMA_H

#include "pv/pv.h"

/* The machine address of mapped memory: heap, stacks, vm_map regions, the image. Takes no lock and
 * may be called anywhere, as long as the memory stays mapped. */
maddr_t dma_address(const volatile void *p);

/* One zeroed page for a device and us, or NULL. Threads only (may sleep on vm_lock). */
void *dma_page(void);
void dma_page_free(void *page);

#endif
