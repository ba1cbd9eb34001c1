/*
 * The growable heap's inside, private to kernel/ (heap_grow itself is in kernel/vm.h).
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stdint.h>

/* Boot only: the heap may use [start of the padding, limit). */
void heap_init(uintptr_t limit);
uintptr_t heap_start(void);
uintptr_t heap_end(void);

#endif
