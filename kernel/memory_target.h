/*
 * Xen's memory target: a service thread gives memory back and takes it as the tool stack asks.
 */
#ifndef KERNEL_MEMORY_TARGET_H
#define KERNEL_MEMORY_TARGET_H

/* Once, by the main thread. Where nobody sets a target there is no such thread. */
void memory_target_init(void);

#endif
