/*
 * Faults as signals: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP.
 *
 * The kernel calls at_fault with events masked, on the stack at fault or on the fault stack. It
 * puts a record of the fault on the stack of the handler and lets the trap return into run_record,
 * there, as if what faulted had called it. When the handler returns, the record is continued.
 * Without a handler that could run, the kernel's crash report comes as ever.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>

#include "kernel/fault.h"
#include "kernel/vm.h"
#include "libc-glue/signal.h"

#define TRAP_BYTES 1024     /* below at_fault's frame: what it calls */
#define HEADROOM_BYTES 4096 /* below the record: the FPU's state, at least some of the handler */

/* Page-fault error code (Intel SDM volume 3, 4.7). */
#define ERROR_PRESENT 0x1

#define EFLAGS_IF 0x200ull
#define EFLAGS_DF 0x400ull

struct record {
    struct trap_frame frame; /* first */
    struct sigaction action;
    siginfo_t info;
    uintptr_t cr2;
};

static __thread struct record *current;

static const struct {
    uint8_t reg, offset; /* of gregs, in struct trap_frame */
} registers[] = {
#define REGISTER(REG, field)                                                                       \
    {                                                                                              \
        REG, offsetof(struct trap_frame, field)                                                    \
    }
    REGISTER(REG_R8, r8),   REGISTER(REG_R9, r9),   REGISTER(REG_R10, r10),
    REGISTER(REG_R11, r11), REGISTER(REG_R12, r12), REGISTER(REG_R13, r13),
    REGISTER(REG_R14, r14), REGISTER(REG_R15, r15), REGISTER(REG_RDI, rdi),
    REGISTER(REG_RSI, rsi), REGISTER(REG_RBP, rbp), REGISTER(REG_RBX, rbx),
    REGISTER(REG_RDX, rdx), REGISTER(REG_RAX, rax), REGISTER(REG_RCX, rcx),
    REGISTER(REG_RSP, rsp), REGISTER(REG_RIP, rip), REGISTER(REG_EFL, rflags)};

static greg_t *register_of(struct trap_frame *frame, unsigned i)
{
    return (greg_t *)(void *)((char *)frame + registers[i].offset);
}

/* --- In the thread, on the handler's stack -----------------------------------------------------
 */

static void run_handler(void)
{
    struct record *r = current;
    ucontext_t context = {0};
    greg_t *gregs = context.uc_mcontext.gregs;

    pv_events_restore(true);
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        gregs[registers[i].reg] = *register_of(&r->frame, i);
    gregs[REG_TRAPNO] = (greg_t)r->frame.vector;
    gregs[REG_ERR] = (greg_t)r->frame.error_code;
    gregs[REG_CR2] = (greg_t)r->cr2;
    int saved_errno = errno;
    signal_run_handler(&r->action, &r->info, &context);
    signal_set_mask(pthread_own.signal_mask); /* delivers what came meanwhile */
    errno = saved_errno;
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        if (registers[i].reg != REG_EFL)
            *register_of(&r->frame, i) = gregs[registers[i].reg];
    pv_events_mask();
}

SIGNAL_IN_TRAP _Noreturn static void run_record(struct record *r)
{
    current = r; /* events are masked: at_fault */
    fpu_preserving_call(run_handler);
    pv_resume(&r->frame);
}

/* --- In the trap ------------------------------------------------------------------------------ */

SIGNAL_IN_TRAP static int floating_point_code(uint64_t vector)
{
    static const struct {
        uint8_t flag, code;
    } codes[] = {{0x01, FPE_FLTINV},
                 {0x04, FPE_FLTDIV},
                 {0x08, FPE_FLTOVF},
                 {0x12, FPE_FLTUND},
                 {0x20, FPE_FLTRES}};
    uint32_t mxcsr;
    uint16_t status, control;
    unsigned flags;

    /* Those that are raised and not masked. */
    if (vector == TRAP_SIMD) {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        flags = mxcsr & ~(mxcsr >> 7);
    } else {
        __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control));
        flags = status & ~(unsigned)control;
    }
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if ((flags & codes[i].flag) != 0)
            return codes[i].code;
    return FPE_FLTINV;
}

SIGNAL_IN_TRAP static void set_page_fault(siginfo_t *info, const struct trap_frame *frame)
{
    uintptr_t address = pv_fault_address();
    struct vm_info at;

    vm_query(address, &at);
    bool is_mapped = at.name != NULL && !at.is_guard;
    info->si_addr = (void *)address;
    if (is_mapped && at.is_again && at.prot != VM_NONE &&
        (frame->error_code & ERROR_PRESENT) == 0) { /* behind the end of the mapped file */
        info->si_signo = SIGBUS;
        info->si_code = BUS_ADRERR;
        return;
    }
    info->si_signo = SIGSEGV;
    info->si_code =
        is_mapped || (frame->error_code & ERROR_PRESENT) != 0 ? SEGV_ACCERR : SEGV_MAPERR;
}

/* False: nothing that a program could have done. */
SIGNAL_IN_TRAP static bool describe(siginfo_t *info, const struct trap_frame *frame)
{
    info->si_addr = (void *)frame->rip;
    switch (frame->vector) {
    case TRAP_DIVIDE:
        info->si_signo = SIGFPE;
        info->si_code = FPE_INTDIV;
        return true;
    case TRAP_X87:
    case TRAP_SIMD:
        info->si_signo = SIGFPE;
        info->si_code = floating_point_code(frame->vector);
        return true;
    case TRAP_BREAKPOINT:
        info->si_signo = SIGTRAP;
        info->si_code = SI_KERNEL;
        return true;
    case TRAP_INVALID_OPCODE:
        info->si_signo = SIGILL;
        info->si_code = ILL_ILLOPN;
        return true;
    case TRAP_ALIGNMENT:
        info->si_signo = SIGBUS;
        info->si_code = BUS_ADRALN;
        return true;
    case TRAP_GENERAL_PROTECTION:
        info->si_signo = SIGSEGV;
        info->si_code = SI_KERNEL;
        info->si_addr = NULL;
        return true;
    case TRAP_PAGE_FAULT:
    case TRAP_DOUBLE_FAULT: /* the stack could not take the frame of a page fault */
        set_page_fault(info, frame);
        return true;
    default:
        return false;
    }
}

SIGNAL_IN_TRAP static bool is_writable(uintptr_t low, uintptr_t end)
{
    struct vm_info at;

    vm_query(low, &at);
    return at.name != NULL && !at.is_guard && (at.prot & VM_WRITE) != 0 && at.end >= end;
}

/* Where the record goes, or 0: there is no room. On the stack at fault, that is below the trap's
 * own frames, which return before it is used. */
SIGNAL_IN_TRAP static uintptr_t place_record(const struct trap_frame *frame, int flags)
{
    const struct signal_stack *stack = &pthread_own.signal_stack;
    uintptr_t top = frame->vector == TRAP_DOUBLE_FAULT
                        ? frame->rsp
                        : (uintptr_t)__builtin_frame_address(0) - TRAP_BYTES;

    if ((flags & SA_ONSTACK) != 0 && stack->bytes != 0 &&
        !signal_is_on_stack(stack, (void *)frame->rsp))
        top = (uintptr_t)stack->low + stack->bytes;
    uintptr_t at = (top - sizeof(struct record)) & -16ul;
    return is_writable(at - HEADROOM_BYTES, at + sizeof(struct record)) ? at : 0;
}

SIGNAL_IN_TRAP static bool at_fault(struct trap_frame *frame)
{
    siginfo_t info = {0};
    struct sigaction action;

    if (!describe(&info, frame) || !signal_fault_action(info.si_signo, &action))
        return false;
    struct record *r = (struct record *)place_record(frame, action.sa_flags);
    if (r == NULL)
        return false;
    r->frame = *frame;
    r->action = action;
    r->info = info;
    r->cr2 = pv_fault_address();
    frame->rip = (uintptr_t)run_record;
    frame->rdi = (uintptr_t)r;
    frame->rsp = (uintptr_t)r - sizeof(uintptr_t); /* as after a call */
    frame->rbp = 0;
    /* Events stay masked until run_handler: one that came at the return from the trap, on its
     * stack, would write over the record. */
    frame->rflags &= ~(EFLAGS_DF | EFLAGS_IF);
    return true;
}

void signal_catch_faults(void)
{
    fault_on_exception(at_fault);
}
