/*
 * The growable heap's inside, private to kernel/ (heap_grow itself is in kernel/vm.h).
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Boot only: the heap begins `offset` (less than a page) behind the start of the padding, and may
 * grow up to limit. */
void heap_init(size_t offset, uintptr_t limit);
uintptr_t heap_start(void);
uintptr_t heap_end(void);

#endif
