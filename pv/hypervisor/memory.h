/*
 * Machine memory: the hypervisor's map of it, who owns each frame, early allocation. Ring 0.
 *
 * All RAM is mapped at HYPERVISOR_BASE. Every frame below frame_limit has a word in frame_table
 * (frame.h). Memory that the hypervisor needs is taken at boot; the domain gets all the rest.
 */
#ifndef HYPERVISOR_MEMORY_H
#define HYPERVISOR_MEMORY_H

#include <stdint.h>
#include "boot/boot.h"
#include "boot/layout.h"

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096ul
#define PAGES(bytes) (((uint64_t)(bytes) + PAGE_BYTES - 1) >> PAGE_SHIFT)

/* A machine frame number. */
typedef struct {
    uint64_t n;
} mfn_t;

static inline mfn_t mfn(uint64_t n)
{
    return (mfn_t){n};
}

static inline void *machine_to_virtual(uint64_t addr)
{
    return (void *)(HYPERVISOR_BASE + addr);
}

static inline uint64_t virtual_to_machine(const void *virtual)
{
    return (uint64_t) virtual - HYPERVISOR_BASE;
}

static inline void *frame_to_virtual(mfn_t frame)
{
    return machine_to_virtual(frame.n << PAGE_SHIFT);
}

static inline mfn_t virtual_to_frame(const void *virtual)
{
    return mfn(virtual_to_machine(virtual) >> PAGE_SHIFT);
}

/* The hypervisor's upper-level page table entries, for each L4 of the guest. */
extern uint64_t boot_l4[512];

/* Free memory as a list of ranges, page-aligned, disjoint. */
#define MAX_FREE_RANGES (BOOT_MAX_MEMORY_RANGES + 8)

struct free_list {
    unsigned int nr;
    struct boot_range ranges[MAX_FREE_RANGES];
};

/*
 * Map all RAM, reserve what is in use (the image, the modules), build the frame table. *free gets
 * what is left for the domain, largest range first.
 */
void memory_init(const struct boot_info *info, struct free_list *free);

/*
 * Pages for the hypervisor, for good, not zeroed, from the end of the largest free range below 4
 * GiB; no return when there are none. Only until the domain is built.
 */
void *memory_take(uint64_t bytes);

/* Make the range readable through machine_to_virtual(); for devices `uncached`. */
void memory_map(uint64_t start, uint64_t end, int uncached);

/* The machine's addresses end here: what the CPU can address. */
uint64_t memory_address_limit(void);

/* The interrupt controllers' addresses, which the hypervisor keeps to itself. */
static inline int memory_is_interrupt_controller(uint64_t addr)
{
    return addr >= 0xfec00000 && addr < 0xfef00000;
}

/* Whether the range is neither RAM, nor the hypervisor's, nor an interrupt controller's. */
int memory_is_device(uint64_t start, uint64_t bytes);

/*
 * An address of device memory anywhere, uncached, until the next call: good to the end of its 2 MiB
 * of machine addresses.
 */
void *memory_window(uint64_t addr);

/* Protect the hypervisor's own text and read-only data, drop the boot code's map at 0. */
void memory_protect(void);

/*
 * Add what only boot needed to the free ranges: the guest's bytes in the image and the modules.
 * They are still read while the domain is built, so its boot region must not reach into them.
 */
void memory_reclaim(const struct boot_info *info, struct free_list *free);

#endif
