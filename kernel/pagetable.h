/*
 * Which frame is mapped where: the kernel's own record of its page tables. Private to kernel/.
 *
 * The guest never reads the page tables and needs no machine-to-frame list: it notes the pfn behind
 * every page and every table, in arrays by virtual address that grow as addresses are used.
 * Lock: vm_lock, held by all callers. Addresses are page aligned, ranges half open.
 */
#ifndef KERNEL_PAGETABLE_H
#define KERNEL_PAGETABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/page.h"

/* Boot only. Everything from `start` (the end of the heap's range) up is ours to lay out; *end is
 * where the records stop and regions may begin. `limit`: the end of all addresses ever used. */
int pagetable_init(uintptr_t start, uintptr_t limit, uintptr_t *end);

/* Backs the unmapped range with fresh frames; protection by VM_*. All or nothing: -ENOMEM. */
int pagetable_map(uintptr_t start, uintptr_t end, int prot);

/* Maps consecutive frames of a device, uncached. All or nothing: -ENOMEM, or as the hypervisor
 * refuses. They go by pagetable_unmap; pagetable_protect leaves them alone. */
int pagetable_map_device(uintptr_t start, uintptr_t end, mfn_t frame);

/* Maps the frames behind `count` pages of mapped memory once more, from `start` on; NULL: nothing
 * there. They stay the first mapping's. All or nothing: -ENOMEM. */
int pagetable_map_again(uintptr_t start, void *const *from, size_t count, int prot);

/* The frame behind mapped memory (no device's); needs no lock as long as it stays mapped. */
pfn_t pagetable_frame(uintptr_t va);

/* Unmaps and frees whatever is in the range. */
void pagetable_unmap(uintptr_t start, uintptr_t end);

/* Pages that are not backed stay so. */
int pagetable_protect(uintptr_t start, uintptr_t end, int prot);

/* Takes away the bootstrap mapping of a frame (with the next flush). */
void pagetable_drop_boot_mapping(pfn_t pfn);

/* Rewrites the protection of the image's own pages, one segment. Boot only. */
int pagetable_protect_boot(uintptr_t start, uintptr_t end, int prot);

/* Pages for records kept elsewhere (regions, freed frames), at an address inside the records' area:
 * maps the page, zeroed. With `frame`, backs it with that frame instead of a new one. */
enum pagetable_area { PAGETABLE_REGIONS, PAGETABLE_FREED_FRAMES };
uintptr_t pagetable_area(enum pagetable_area area, size_t *bytes);
int pagetable_map_record(uintptr_t page, const pfn_t *frame);

#endif
