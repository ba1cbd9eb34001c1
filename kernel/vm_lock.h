/*
 * vm_lock protects the regions, the heap's bounds, the page-table records, the frame allocator and
 * the update queue of pv/. A sleeping lock; taken by threads only. Private to kernel/.
 */
#ifndef KERNEL_VM_LOCK_H
#define KERNEL_VM_LOCK_H

#include "kernel/sync.h"

extern struct mutex vm_lock;

#endif
