/*
 * See trap.h. Xen: xen.h (trap_info, set_trap_table), arch/x86/x86_64/entry.S (the guest's frame).
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/trap.h"
#include "pv/abi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/entry.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/hypercall_page.h"
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/pirq.h"
#include "pv/hypervisor/shutdown.h"
#include "pv/hypervisor/timer.h"
#include "pv/hypervisor/work.h"

enum {
    VECTOR_DEBUG = 1,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
};

/* Vectors that come with an error code (SDM vol. 3A, table 6-1). */
#define HAS_ERROR_CODE                                                                             \
    (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21)

#define RED_ZONE_BYTES 128
#define MAX_PUSHED_BYTES (8 * 8)
#define SYSCALL_BYTES 2
#define TRAP_INFO_DPL 3
#define TRAP_INFO_MASKS 4

extern const struct fixup fixups_start[], fixups_end[]; /* linker script */

/*
 * Write the guest's frame below *rsp and move that down; mask: whether events are masked. Written
 * straight through, as it is in the way of every event; an address that could not be written is in
 * CR2.
 */
static inline __attribute__((always_inline)) int
push_frame(const struct frame *frame, uint64_t *rsp, const uint64_t *error_code, uint8_t mask)
{
    uint64_t rflags = mask ? frame->rflags & ~(uint64_t)RFLAGS_IF : frame->rflags | RFLAGS_IF;
    uint64_t bytes = error_code ? 8 * 8 : 7 * 8;
    uint64_t to = (*rsp & ~15ul) - bytes;
    int error = 0;

    if (!guest_range_is_ok(to, bytes))
        return -EFAULT;
    *rsp = to;
    guest_store64_in_range(to, frame->rcx, &error);
    guest_store64_in_range(to + 8, frame->r11, &error);
    if (error_code) {
        guest_store64_in_range(to + 16, *error_code, &error);
        to += 8;
    }
    guest_store64_in_range(to + 16, frame->rip, &error);
    /* Guest kernel mode shows as ring 0; the guest's own return sets it to 3 again. */
    guest_store64_in_range(to + 24, (frame->cs & ~3ul) | (uint64_t)(mask != 0) << 32, &error);
    guest_store64_in_range(to + 32, rflags, &error);
    guest_store64_in_range(to + 40, frame->rsp, &error);
    guest_store64_in_range(to + 48, frame->ss, &error);
    return error;
}

static inline __attribute__((always_inline)) void enter(struct frame *frame, uint64_t rip,
                                                        uint64_t rsp, int masks_events)
{
    frame->rip = rip;
    frame->rsp = rsp;
    frame->cs = GUEST_CS;
    frame->ss = GUEST_SS;
    frame->rflags &= ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC);
    if (masks_events)
        this_cpu()->vcpu_info->evtchn_upcall_mask = 1;
}

/* The address that an attempt to push a frame could not write: CR2, unless it raised no page fault.
 */
static uint64_t unwritable_address(const struct frame *frame)
{
    uint64_t lowest = ((frame->rsp - RED_ZONE_BYTES) & ~15ul) - MAX_PUSHED_BYTES;

    return guest_address_is_ok(lowest) && guest_address_is_ok(lowest + MAX_PUSHED_BYTES - 1)
               ? cpu_read_cr2()
               : lowest;
}

/* The guest's stack has overflowed: tell it on its other one. */
static __attribute__((cold, noinline)) void enter_on_fault_stack(struct frame *frame)
{
    const struct vcpu *vcpu = this_vcpu();
    const struct trap_info *handler = &vcpu->traps[VECTOR_DOUBLE_FAULT];
    uint64_t rsp = vcpu->kernel_rsp, error_code = 0;

    if (!(domain.features & PARVUS_FEATURE_FAULT_STACK) || !handler->address || !rsp)
        shutdown_crash(frame, "its stack cannot be written (rsp %#lx)", frame->rsp);
    this_cpu()->vcpu_info->arch.cr2 = unwritable_address(frame);
    if (push_frame(frame, &rsp, &error_code, this_cpu()->vcpu_info->evtchn_upcall_mask))
        shutdown_crash(frame, "neither its stack (rsp %#lx) nor its fault stack can be written",
                       frame->rsp);
    enter(frame, handler->address, rsp, 1);
}

void trap_enter_guest(struct frame *frame, uint64_t rip, int flags, const uint64_t *error_code)
{
    uint64_t rsp = frame->rsp - RED_ZONE_BYTES;

    if (push_frame(frame, &rsp, error_code, this_cpu()->vcpu_info->evtchn_upcall_mask))
        enter_on_fault_stack(frame);
    else
        enter(frame, rip, rsp, flags & TRAP_MASKS_EVENTS);
}

void trap_enter_event(struct frame *frame, uint64_t rip)
{
    uint64_t rsp = frame->rsp - RED_ZONE_BYTES;

    if (push_frame(frame, &rsp, NULL, 0))
        enter_on_fault_stack(frame);
    else
        enter(frame, rip, rsp, 1);
}

void trap_deliver(struct frame *frame, unsigned int vector, uint64_t error_code)
{
    const struct trap_info *handler = &this_vcpu()->traps[vector];
    int has_code = vector < NR_EXCEPTIONS && (HAS_ERROR_CODE >> vector & 1);

    if (!handler->address)
        shutdown_crash(frame, "exception %u (error code %#lx, cr2 %#lx) without a handler", vector,
                       error_code, this_cpu()->vcpu_info->arch.cr2);
    trap_enter_guest(frame, handler->address,
                     handler->flags & TRAP_INFO_MASKS ? TRAP_MASKS_EVENTS : 0,
                     has_code ? &error_code : NULL);
}

/*
 * INT n out of ring 3 raises #GP, as no gate lets it through: the guest's trap table decides
 * instead. The vector is read from the instruction, since QEMU's TCG gets the error code wrong in
 * 64-bit mode (16 * n + 2 instead of 8 * n + 2); what the guest is told is mended, too.
 */
static int deliver_software_interrupt(struct frame *frame)
{
    uint8_t code[2]; /* CD ib */
    int is_idt_not_external = (frame->error & 7) == 2;

    if (!is_idt_not_external || guest_read(code, frame->rip, sizeof(code)) || code[0] != 0xcd)
        return 0;
    frame->error = code[1] << 3 | 2;
    if (!this_vcpu()->traps[code[1]].address)
        return 0;
    frame->rip += sizeof(code);
    trap_deliver(frame, code[1], 0);
    return 1;
}

/*
 * A device that the guest told so (Intel SDM vol. 3A, 11.11.1) interrupts with the vector of an
 * exception. Nobody's, like others. APICs take those from 16 on (11.5.2), but for QEMU's own (7.2,
 * hw/intc/apic.c, apic_irq_pending), which takes all.
 */
static int end_interrupt(const struct frame *frame)
{
    int has_code = HAS_ERROR_CODE >> frame->vector & 1;

    if (has_code ? frame->error != (uint64_t)NO_ERROR_CODE
                 : !apic_is_in_service((unsigned int)frame->vector))
        return 0;
    apic_eoi();
    return 1;
}

static void handle_guest_exception(struct frame *frame)
{
    uint64_t cr2;

    /* Breakpoints are the way in on some hosts, and the APIC is slow to ask there. */
    if (frame->vector != VECTOR_BREAKPOINT && end_interrupt(frame))
        return;
    switch (frame->vector) {
    case VECTOR_BREAKPOINT:
        if (hypercall_page_is_iret(frame)) {
            hypercall_iret();
            return;
        }
        if (hypercall_page_breakpoint(frame))
            return;
        break;
    case VECTOR_DOUBLE_FAULT:
        shutdown_hypervisor_fault(frame);
    case VECTOR_PROTECTION:
        if (deliver_software_interrupt(frame))
            return;
        break;
    case VECTOR_PAGE_FAULT:
        cr2 = cpu_read_cr2();
        if (m2p_fault(cr2) || hypercall_page_fault(frame))
            return;
        if (frame->rip == (uint64_t)entry_syscall) {
            /* A SYSCALL of the guest's own where it does not reach ring 0 (hypercall_page.c). */
            frame->rip = frame->rcx - SYSCALL_BYTES;
            frame->rflags = frame_guest_rflags(frame->r11);
            trap_deliver(frame, VECTOR_INVALID_OPCODE, 0);
            return;
        }
        /* Which of the hypervisor's addresses exist is not the guest's business. */
        if (!guest_range_is_ok(cr2, 1))
            frame->error &= ~1ul;
        this_cpu()->vcpu_info->arch.cr2 = cr2;
        break;
    }
    trap_deliver(frame, (unsigned int)frame->vector, frame->error);
}

static int resume_at_fixup(struct frame *frame)
{
    for (const struct fixup *fixup = fixups_start; fixup < fixups_end; fixup++) {
        if (fixup->rip == frame->rip) {
            frame->rip = fixup->resume;
            return 1;
        }
    }
    return 0;
}

/* Faults of ring 0: of its accesses to guest memory, of its return to the guest, or its own. */
static void handle_own_exception(struct frame *frame)
{
    if (resume_at_fixup(frame) || end_interrupt(frame))
        return;
    if (frame->rip == (uint64_t)entry_iretq)
        shutdown_crash(guest_frame(), "it cannot go on at rip %#lx", guest_frame()->rip);
    shutdown_hypervisor_fault(frame);
}

void trap_handle(struct frame *frame)
{
    if (frame_is_guest(frame))
        handle_guest_exception(frame);
    else
        handle_own_exception(frame);
}

void interrupt_handle(unsigned int vector)
{
    if (vector >= VECTOR_PIRQ)
        pirq_interrupt(vector);
    else if (vector == VECTOR_TIMER)
        timer_interrupt();
    else if (vector == VECTOR_CONSOLE)
        console_interrupt();
    else if (vector != VECTOR_SPURIOUS) /* which has no end (SDM vol. 3A, 11.9) */
        apic_eoi();                     /* nobody's: a device that the guest told so */
}

/* xen.h, set_trap_table: entries up to one with a null address; a null pointer clears all. */
int64_t hypercall_set_trap_table(uint64_t table)
{
    struct trap_info *traps = this_vcpu()->traps;

    if (!table) {
        __builtin_memset(traps, 0, sizeof(this_vcpu()->traps));
        return 0;
    }
    for (unsigned int i = 0; i < NR_TRAPS; i++) {
        struct trap_info entry;

        if (guest_read(&entry, table + i * sizeof(entry), sizeof(entry)))
            return -EFAULT;
        if (entry.address == 0)
            break;
        if (!guest_address_is_ok(entry.address))
            return -EINVAL;
        traps[entry.vector] = entry;
        work.left--;
    }
    return 0;
}
