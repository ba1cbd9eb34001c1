/*
 * Exceptions: caught for whoever expects them, else the end with a readable cause.
 *
 * Called by pv/entry.S with events masked, on the stack that faulted or, for a frame that could not
 * be pushed there, on the fault stack (PARVUS_FEATURE_FAULT_STACK). Ring 3. Locks: none.
 */
#include "kernel/fault.h"

#include <stdbool.h>
#include <stddef.h>

#include "kernel/format.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/vm.h"

struct fault_catcher {
    uint64_t rsp; /* first: kernel/switch.S stores it */
    struct fault *out;
    struct fault_catcher *outer;
};

int fault_enter(uint64_t *rsp, void (*fn)(void *), void *arg);
extern const char fault_landing[];

/* Page-fault error code (Intel SDM volume 3, 4.7). */
#define ERROR_PRESENT 0x1
#define ERROR_WRITE 0x2
#define ERROR_FETCH 0x10

#define LOWEST_MAPPED 0x400000ul /* kernel/guest.lds, VIRT_BASE */

int fault_catch(void (*fn)(void *), void *arg, struct fault *out)
{
    struct thread *self = thread_self();
    struct fault_catcher catcher = {.out = out, .outer = self->catcher};

    self->catcher = &catcher;
    int faulted = fault_enter(&catcher.rsp, fn, arg);
    self->catcher = catcher.outer;
    return faulted;
}

/* Lets the trap return into fault_enter instead of to what faulted. */
static void recover(struct trap_frame *frame, struct fault_catcher *catcher)
{
    *catcher->out = (struct fault){
        .vector = (unsigned)frame->vector,
        .error_code = frame->error_code,
        .address = pv_fault_address(),
        .rip = frame->rip,
    };
    frame->rip = (uint64_t)fault_landing;
    frame->rsp = catcher->rsp;
}

static const struct thread *thread_with_guard_at(uintptr_t address)
{
    const struct thread *t;

    LIST_FOREACH(t, &sched_all_threads, all_link) {
        if (address < t->stack_low && address >= t->stack_low - PAGE_SIZE)
            return t;
    }
    return NULL;
}

_Noreturn static void page_fault(const struct trap_frame *frame, uintptr_t address)
{
    const char *access = frame->error_code & ERROR_FETCH   ? "execute of"
                         : frame->error_code & ERROR_WRITE ? "write to"
                                                           : "read of";
    const struct thread *t = thread_with_guard_at(address);
    struct vm_info info;

    if (t)
        panic_at(frame, "stack overflow of thread %s (%s its guard page at 0x%lx)", t->name,
                 access, address);
    if (address < LOWEST_MAPPED)
        panic_at(frame, "null dereference: %s address 0x%lx", access, address);
    vm_query(address, &info);
    if (!info.name)
        panic_at(frame, "%s unmapped address 0x%lx", access, address);
    if (info.is_guard)
        panic_at(frame, "%s the guard page of %s at 0x%lx", access, info.name, address);
    panic_at(frame, "%s %s at 0x%lx (%s)", access,
             info.prot & VM_WRITE  ? "data"
             : info.prot & VM_EXEC ? "read-only text"
             : info.prot           ? "read-only data"
                                   : "inaccessible memory",
             address, info.name);
}

/* With the instruction's bytes, where they can be read: in text they can. */
_Noreturn static void bad_instruction(const struct trap_frame *frame, const char *what)
{
    char bytes[8 * 3 + 1] = "";
    struct vm_info info;
    size_t at = 0;

    vm_query(frame->rip, &info);
    if (info.prot & VM_EXEC)
        for (uintptr_t p = frame->rip; p < info.end && at + 3 < sizeof(bytes); p++, at += 3)
            ksnprintf(bytes + at, sizeof(bytes) - at, " %02x", *(const uint8_t *)p);
    panic_at(frame, "%s at 0x%lx:%s (error code 0x%lx)", what, frame->rip, bytes,
             frame->error_code);
}

_Noreturn static void double_fault(const struct trap_frame *frame)
{
    uintptr_t address = pv_fault_address();
    const struct thread *t = thread_with_guard_at(address);

    if (t)
        panic_at(frame, "stack overflow of thread %s (0x%lx)", t->name, address);
    panic_at(frame, "stack pointer 0x%lx of thread %s is not writable memory (0x%lx)", frame->rsp,
             thread_name(thread_self()), address);
}

void kernel_trap(struct trap_frame *frame)
{
    struct thread *self = thread_self();

    if (self && self->catcher && frame->vector != TRAP_FAILSAFE) {
        recover(frame, self->catcher);
        return;
    }
    switch (frame->vector) {
    case TRAP_DIVIDE:
        panic_at(frame, "division by zero (or its quotient too large)");
    case TRAP_BREAKPOINT:
        panic_at(frame, "breakpoint instruction");
    case TRAP_INVALID_OPCODE:
        bad_instruction(frame, "invalid instruction");
    case TRAP_DOUBLE_FAULT:
        double_fault(frame);
    case TRAP_GENERAL_PROTECTION:
        bad_instruction(frame, "general protection: privileged instruction or bad address");
    case TRAP_PAGE_FAULT:
        page_fault(frame, pv_fault_address());
    case TRAP_X87:
    case TRAP_SIMD:
        panic_at(frame, "floating-point exception");
    case TRAP_FAILSAFE:
        panic_at(frame, "the hypervisor could not restore the guest's state");
    default:
        panic_at(frame, "exception %lu (error code 0x%lx)", frame->vector, frame->error_code);
    }
}
