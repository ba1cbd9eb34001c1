/*
 * Raw hypercalls for tests that misuse them: any number, any arguments, results as the hypervisor
 * numbers them (xen/errno.h). Nothing is checked or translated on the way.
 *
 * What such a test changes it changes behind the kernel's back, and puts back.
 */
#ifndef TESTS_GUEST_HYPERCALL_H
#define TESTS_GUEST_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/errno.h>

#include "pv/pv.h"

#define HYPERCALLS 128 /* that the hypercall page has room for */

/* number < HYPERCALLS. */
long hypercall(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/* The same by way of a multicall, which can name any number. */
long hypercall_by_multicall(uint64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                            uint64_t a5);

static inline uint64_t address_of(const volatile void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* --- Pages whose entries tests change ------------------------------------------------------- */

/* Four pages of the image's data, mapped by bootstrap tables and unknown to vm_map. */
#define SPARE_PAGES 4
extern uint8_t spare[SPARE_PAGES][PAGE_SIZE];

mfn_t mfn_of_image(const volatile void *address); /* of an address in the image */
mfn_t mfn_of_shared(void); /* of the page shared with the hypervisor: not one of the domain's */
uint64_t entry_of(const volatile void *address); /* the L1 entry that maps it, as it is now */

#define ENTRY_DATA (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_NX)
#define ENTRY_CONSTANT (PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_NX)
#define ENTRY_CODE (PV_PTE_PRESENT | PV_PTE_USER)
#define ENTRY_TABLE (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED)

static inline uint64_t entry_for(mfn_t frame, uint64_t flags)
{
    return frame.n << PAGE_SHIFT | flags;
}

/* update_va_mapping with invlpg. */
long map_raw(const volatile void *address, uint64_t entry);
/* Maps spare page `i` to its own frame, writable, as at boot. */
void restore_spare(unsigned i);

/* One mmu_update of kind MMU_*; one mmuext_op. */
long update_raw(uint64_t machine_address, unsigned kind, uint64_t value);
long mmuext_raw(unsigned command, uint64_t arg1, uint64_t arg2);

/* Machine address of the entry for va in the bootstrap table of a level; 0 if there is none. */
uint64_t boot_entry_address(const volatile void *va, unsigned level);

/* The index of an entry that maps nothing in the table of a level, 2 to 4, that maps the image. */
unsigned unused_entry(unsigned level);

/* Highest frame of RAM: XENMEM_maximum_ram_page is the one beyond, in Xen and here. */
uint64_t last_frame(void);

/* The first frame that the processor cannot address: no memory, no device. */
mfn_t frame_beyond_all(void);

/* A pointer that no hypercall may follow, one kind after another; NULL after the last. The
 * pointed-to bytes, where there are any, end right before an unmapped page. */
struct bad_pointer {
    const char *name;
    uint64_t address;
};
extern const struct bad_pointer bad_pointers[];

/* `bytes` bytes that end where an unmapped page begins, writable; freed by close_edge(). */
void *open_edge(size_t bytes);
void close_edge(void);

#endif
