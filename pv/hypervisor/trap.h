/*
 * Exceptions and interrupts, and how the guest is entered for them. Ring 0.
 */
#ifndef HYPERVISOR_TRAP_H
#define HYPERVISOR_TRAP_H

#include <stdint.h>
#include "pv/hypervisor/cpu.h"

enum {
    TRAP_MASKS_EVENTS = 1, /* evtchn_upcall_mask is set on entry */
};

/*
 * Make `frame` enter the guest at `rip` on its current stack, which receives what Xen pushes: rcx,
 * r11, [error code], rip, cs and the saved mask, rflags (IF is the inverse of the mask), rsp, ss.
 * The 128 bytes below rsp (the ABI's red zone) are left alone. Where that stack cannot be written:
 * see PARVUS_FEATURE_FAULT_STACK; otherwise the domain crashes.
 */
void trap_enter_guest(struct frame *frame, uint64_t rip, int flags, const uint64_t *error_code);

/* The same for an event, out of a guest that has events unmasked: the short way. */
void trap_enter_event(struct frame *frame, uint64_t rip);

/* Deliver an exception by the guest's trap table; without an entry there the domain crashes. */
void trap_deliver(struct frame *frame, unsigned int vector, uint64_t error_code);

/* Every exception, from entry.S. */
void trap_handle(struct frame *frame);
/* Every interrupt, likewise. */
void interrupt_handle(unsigned int vector);

#endif
