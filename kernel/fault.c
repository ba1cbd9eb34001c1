/*
 * Exceptions: caught for whoever expects them, else the end with a readable cause.
 *
 * Called by pv/entry.S with events masked, on the stack that faulted or, for a frame that could not
 * be pushed there, on the fault stack (PARVUS_FEATURE_FAULT_STACK). Ring 3. Locks: none.
 */
#include "kernel/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernel/format.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/vm.h"

struct fault_catcher {
    uint64_t rsp; /* first: kernel/switch.S stores it */
    struct fault *out;
    struct fault_catcher *outer;
};

static bool (*exception_handler)(struct trap_frame *frame);

int fault_enter(uint64_t *rsp, void (*fn)(void *), void *arg);
extern const char fault_landing[];

/* Page-fault error code (Intel SDM volume 3, 4.7). */
#define ERROR_PRESENT 0x1
#define ERROR_WRITE 0x2
#define ERROR_FETCH 0x10

#define SHOWN_BYTES 8 /* of a bad instruction */

#define TRY_LARGER "; a larger stack may help (main: stack=SIZE)"

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

void fault_on_exception(bool (*fn)(struct trap_frame *frame))
{
    exception_handler = fn;
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

    LIST_FOREACH(t, &sched_all_threads, all_link)
    {
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
        panic_at(frame, "stack overflow of thread %s (%s its guard page at 0x%lx)%s", t->name,
                 access, address, TRY_LARGER);
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

/* Bytes of the instruction at rip, as far as they can be read: in text they can. */
static size_t instruction_bytes(uintptr_t rip, const uint8_t **bytes)
{
    struct vm_info info;

    vm_query(rip, &info);
    *bytes = (const uint8_t *)rip;
    return !(info.prot & VM_EXEC) ? 0 : info.end - rip < SHOWN_BYTES ? info.end - rip : SHOWN_BYTES;
}

/* The instructions that ring 3 may not use (Intel SDM volume 3, 5.9, and port access). */
static bool is_privileged(const uint8_t *bytes, size_t count)
{
    static const uint8_t one_byte[] = {0xf4, 0xfa, 0xfb, 0xe4, 0xe5, 0xe6, 0xe7, 0xec,
                                       0xed, 0xee, 0xef, 0x6c, 0x6d, 0x6e, 0x6f, 0xcf};
    static const uint8_t after_0f[] = {0x00, 0x01, 0x06, 0x07, 0x08, 0x09, 0x20,
                                       0x21, 0x22, 0x23, 0x30, 0x32, 0x33, 0x35};
    bool two = false;

    for (; count; bytes++, count--) {
        bool prefix = *bytes == 0x66 || *bytes == 0xf2 || *bytes == 0xf3 || (*bytes & 0xf0) == 0x40;

        if (two)
            return memchr(after_0f, *bytes, sizeof(after_0f)) != NULL;
        if (*bytes == 0x0f)
            two = true;
        else if (!prefix)
            return memchr(one_byte, *bytes, sizeof(one_byte)) != NULL;
    }
    return false;
}

_Noreturn static void bad_instruction(const struct trap_frame *frame)
{
    char text[SHOWN_BYTES * 3 + 1] = "";
    const uint8_t *bytes;
    size_t count = instruction_bytes(frame->rip, &bytes);
    const char *what = frame->vector == TRAP_INVALID_OPCODE ? "invalid instruction"
                       : is_privileged(bytes, count)        ? "privileged instruction"
                                                            : "general protection: bad address?";

    for (size_t i = 0; i < count; i++)
        ksnprintf(text + 3 * i, sizeof(text) - 3 * i, " %02x", bytes[i]);
    panic_at(frame, "%s at 0x%lx:%s%s", what, frame->rip, text,
             count >= 2 && bytes[0] == 0x0f && bytes[1] == 0x0b
                 ? " (ud2: the compiler's, for what must not happen)"
                 : "");
}

_Noreturn static void double_fault(const struct trap_frame *frame)
{
    uintptr_t address = pv_fault_address();
    const struct thread *t = thread_with_guard_at(address);

    if (t)
        panic_at(frame, "stack overflow of thread %s (0x%lx)%s", t->name, address, TRY_LARGER);
    panic_at(frame, "stack pointer 0x%lx of thread %s is not writable memory (0x%lx)", frame->rsp,
             thread_name(thread_self()), address);
}

void kernel_trap(struct trap_frame *frame)
{
    struct thread *self = thread_self();

    if (self && self->catcher && (frame->rflags & RFLAGS_IF)) {
        recover(frame, self->catcher);
        return;
    }
    if (exception_handler && self && (frame->rflags & RFLAGS_IF) && exception_handler(frame))
        return;
    switch (frame->vector) {
    case TRAP_DIVIDE:
        panic_at(frame, "division by zero (or its quotient too large)");
    case TRAP_BREAKPOINT:
        panic_at(frame, "breakpoint instruction");
    case TRAP_INVALID_OPCODE:
    case TRAP_GENERAL_PROTECTION:
        bad_instruction(frame);
    case TRAP_DOUBLE_FAULT:
        double_fault(frame);
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
