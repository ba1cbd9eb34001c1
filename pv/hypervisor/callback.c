/*
 * What the guest registers of itself: callbacks, stack, segment bases; and its way back from a
 * callback. xen.h, xen/callback.h. Ring 0.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/shutdown.h"

#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

int64_t hypercall_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
    struct vcpu *vcpu = this_vcpu();

    if (!guest_address_is_ok(event) || !guest_address_is_ok(failsafe) ||
        !guest_address_is_ok(syscall))
        return -EINVAL;
    vcpu->event_callback = event;
    vcpu->failsafe_callback = failsafe;
    vcpu->syscall_callback = syscall;
    return 0;
}

static uint64_t *callback_of(unsigned int type)
{
    switch (type) {
    case CALLBACKTYPE_event:
        return &this_vcpu()->event_callback;
    case CALLBACKTYPE_failsafe:
        return &this_vcpu()->failsafe_callback;
    case CALLBACKTYPE_syscall:
        return &this_vcpu()->syscall_callback;
    default:
        return NULL;
    }
}

int64_t hypercall_callback_op(uint64_t command, uint64_t arg)
{
    struct callback_register op;

    command = (uint32_t)command;
    if (command != CALLBACKOP_register && command != CALLBACKOP_unregister)
        return -ENOSYS;
    /* struct callback_unregister is the beginning of callback_register. */
    if (guest_read(&op, arg,
                   command == CALLBACKOP_register ? sizeof(op)
                                                  : sizeof(struct callback_unregister)))
        return -EFAULT;

    uint64_t *callback = callback_of(op.type);

    if (!callback)
        return -ENOSYS;
    if (command == CALLBACKOP_unregister) {
        if (op.type != CALLBACKTYPE_syscall)
            return -EINVAL; /* Xen: the others cannot be unregistered */
        *callback = 0;
        return 0;
    }
    if (!guest_address_is_ok(op.address))
        return -EINVAL;
    *callback = op.address;
    return 0;
}

int64_t hypercall_stack_switch(uint64_t ss, uint64_t rsp)
{
    (void)ss; /* there is one stack segment, whatever the guest calls it */
    if (!guest_range_is_ok(rsp, 0))
        return -EFAULT;
    this_vcpu()->kernel_rsp = rsp;
    return 0;
}

int64_t hypercall_set_segment_base(uint64_t which, uint64_t base)
{
    if (!guest_address_is_ok(base))
        return -EINVAL;
    switch ((uint32_t)which) {
    case SEGBASE_FS:
        cpu_wrmsr(MSR_FS_BASE, base);
        return 0;
    case SEGBASE_GS_USER:
        cpu_wrmsr(MSR_KERNEL_GS_BASE, base);
        return 0;
    case SEGBASE_GS_KERNEL:
        cpu_wrmsr(MSR_GS_BASE, base);
        return 0;
    default:
        return -EINVAL;
    }
}

void hypercall_iret(void)
{
    struct frame *frame = guest_frame();
    struct iret_context context;

    if (guest_read(&context, frame->rsp, sizeof(context)))
        shutdown_crash(frame, "iret: its frame at %#lx cannot be read", frame->rsp);
    if ((context.cs & 3) == 3)
        shutdown_crash(frame, "iret to guest user mode, which this hypervisor does not have");
    frame->rax = context.rax;
    frame->r11 = context.flags & VGCF_in_syscall ? context.rflags : context.r11;
    frame->rcx = context.flags & VGCF_in_syscall ? context.rip : context.rcx;
    frame->rip = context.rip;
    frame->cs = GUEST_CS;
    frame->ss = GUEST_SS;
    frame->rsp = context.rsp;
    frame->rflags = frame_guest_rflags(context.rflags);
    this_cpu()->vcpu_info->evtchn_upcall_mask = !(context.rflags & RFLAGS_IF);
}
