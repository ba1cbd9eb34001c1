/*
 * Xen's memory target (kernel/memory_target.h): the tool stack sets it, Xen has the memory.
 */
#ifndef KERNEL_XEN_MEMORY_H
#define KERNEL_XEN_MEMORY_H

/* Once, by the main thread. Does nothing where nobody sets a target. */
void xen_memory_init(void);

#endif
