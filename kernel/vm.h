/*
 * The one address space: named regions, page protections and the growable heap.
 *
 * Addresses and sizes are multiples of PAGE_SIZE. Every page below the image (page 0 included) is
 * unmapped for ever, and there is an unmapped guard page below each region that asks for one. No
 * page is ever writable and executable (-EACCES), none becomes executable after vm_seal (-EPERM).
 * Mapped memory is backed at once; out of memory is -ENOMEM with nothing changed. Callers: threads
 * (may sleep on vm_lock), never event handlers.
 */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pv/pv.h"

#define VM_NONE 0
#define VM_READ 1
#define VM_WRITE 2  /* implies VM_READ */
#define VM_EXEC 4   /* implies VM_READ */
#define VM_FIXED 16 /* in prot of vm_map: exactly at *addr, replacing nothing (-EEXIST) */
#define VM_GUARD 32 /* in prot of vm_map: an unmapped guard page below */
#define VM_DIRTY 64 /* in prot of vm_map: the contents may be anything (not zeroed) */

/* Maps `bytes` of fresh zeroed memory. *addr is where with VM_FIXED, else only written. name is
 * kept by reference. -EINVAL (zero or unaligned size), -EACCES, -ENOMEM, -EEXIST. */
int vm_map(void **addr, size_t bytes, int prot, const char *name);

/*
 * Maps device memory (any start and size), uncached, readable and writable. *out is where `start`
 * is; name is kept by reference. -EINVAL (nothing, or beyond the machine's addresses), -ENOMEM;
 * -EPERM, -EINVAL: the hypervisor's own, or memory. vm_unmap takes the pages that it lies in.
 */
int vm_map_device(maddr_t start, size_t bytes, const char *name, volatile void **out);

/*
 * Maps memory once more that vm_map has mapped elsewhere: page i is what is at pages[i], or nothing
 * (NULL: its use faults). The frames stay the first mapping's, which must outlive this one. Never
 * executable (-EACCES). Otherwise as vm_map, with no prot but VM_FIXED and protections.
 */
int vm_map_again(void **addr, void *const *pages, size_t count, int prot, const char *name);

/* Unmaps whatever regions or parts of regions lie in the range and frees their frames. -EINVAL:
 * unaligned or outside the area of vm_map; holes are fine. */
int vm_unmap(void *addr, size_t bytes);

/* Changes protection of mapped pages; the range may span regions but no holes (-ENOMEM). */
int vm_protect(void *addr, size_t bytes, int prot);

/* Moves the end of the heap by delta bytes (any number) and returns the former end. New memory is
 * zero. -ENOMEM: no memory or limit reached, -EINVAL: below its start; nothing changes then. */
int heap_grow(intptr_t delta, void **old_end);

/* What is at an address, for panics and tests; takes no lock. */
struct vm_info {
    const char *name; /* NULL: nothing known there */
    uintptr_t start, end;
    int prot;      /* VM_READ | ... */
    bool is_guard; /* the address is in the guard page of that region */
    bool is_again; /* by vm_map_again */
};
void vm_query(uintptr_t address, struct vm_info *out);

/*
 * From then on, for good, nothing becomes executable (-EPERM), and the image's code and constants
 * stay where and what they are. Below Parvus the hypervisor sees to it, against the whole guest; on
 * Xen only this interface does. Before the first code of the application runs.
 */
int vm_seal(void);

/* Boot only: image protections, records of the bootstrap tables, heap and region areas. */
int vm_init(void);

#endif
