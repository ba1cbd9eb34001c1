/*
 * The hypercall page: 32 bytes of code for each hypercall, which hide how ring 0 is entered.
 */
#ifndef HYPERVISOR_HYPERCALL_PAGE_H
#define HYPERVISOR_HYPERCALL_PAGE_H

#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/memory.h"

/* Fill the page that the guest set aside, at the guest-virtual address that it runs at. */
void hypercall_page_fill(mfn_t page, uint64_t virtual);

/*
 * A page fault of the guest: nonzero when it was a SYSCALL that had not reached ring 0; then the
 * page is changed to use INT3, and the frame to do so.
 */
int hypercall_page_fault(struct frame *frame);

/*
 * A breakpoint of the guest: nonzero when it was the page's, called at another address than before
 * (a guest that moves itself does); then the frame is changed to try again.
 */
int hypercall_page_breakpoint(struct frame *frame);

/* Whether a breakpoint is the page's way to HYPERVISOR_iret. */
int hypercall_page_is_iret(const struct frame *frame);

#endif
