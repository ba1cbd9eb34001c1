/*
 * The end of a guest that cannot go on.
 *
 * Callers: anything, anywhere, also on the fault stack (4 KiB). Ring 3. Locks: none, takes none;
 * events stay masked.
 */
#include "kernel/panic.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/console.h"
#include "kernel/format.h"
#include "kernel/sched.h"
#include "pv/abi.h"

#define MAX_FRAMES 32

extern const char image_text_start[], image_data_start[];
extern const char pv_boot_stack[], pv_boot_stack_top[];

static void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int length = kvsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length > (int)sizeof(line) - 1)
        length = sizeof(line) - 1;
    console_write(line, (size_t)length);
}

static void print_registers(const struct trap_frame *f)
{
    print("  rip %016lx  rsp %016lx  rflags %08lx  error %lx\n", f->rip, f->rsp, f->rflags,
          f->error_code);
    print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    print("  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r13, f->r14, f->r15);
}

static bool is_text(uintptr_t address)
{
    return address >= (uintptr_t)image_text_start && address < (uintptr_t)image_data_start;
}

/* A frame pointer to follow: on the current thread's stack and higher than the one before. */
static bool is_frame(uintptr_t rbp, uintptr_t above)
{
    const struct thread *self = thread_self();

    return rbp % 8 == 0 && rbp > above && self && rbp >= self->stack_low &&
           rbp + 2 * sizeof(uintptr_t) <= self->stack_high;
}

static void print_backtrace(uintptr_t rip, uintptr_t rbp)
{
    uintptr_t above = 0;
    int n = 0;

    print("  #%d 0x%lx\n", n++, rip);
    while (n < MAX_FRAMES && is_frame(rbp, above)) {
        const uintptr_t *frame = (const uintptr_t *)rbp;

        if (!is_text(frame[1]))
            break;
        print("  #%d 0x%lx\n", n++, frame[1]);
        above = rbp;
        rbp = frame[0];
    }
}

/* The first panic tells its story; one inside it only its message; a third says nothing. */
_Noreturn static void die(const struct trap_frame *frame, unsigned status, const char *format,
                          va_list args, uintptr_t rip, uintptr_t rbp)
{
    static unsigned depth;
    char message[192];

    pv_events_mask();
    if (++depth > 2)
        pv_shutdown(PV_SHUTDOWN_CRASH, status);
    kvsnprintf(message, sizeof(message), format, args);
    print("parvus: panic: %s\n", message);
    if (depth == 1) {
        const struct thread *self = thread_self();

        print("  thread %s\n", self ? self->name : "(boot)");
        if (frame)
            print_registers(frame);
        print_backtrace(rip, rbp);
    }
    pv_shutdown(PV_SHUTDOWN_CRASH, status);
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(NULL, 0, format, args, (uintptr_t)__builtin_return_address(0),
        *(uintptr_t *)__builtin_frame_address(0));
}

void panic_at(const struct trap_frame *frame, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(frame, 0, format, args, frame->rip, frame->rbp);
}

void panic_out_of_memory(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(NULL, PARVUS_STATUS_OUT_OF_MEMORY, format, args, (uintptr_t)__builtin_return_address(0),
        *(uintptr_t *)__builtin_frame_address(0));
}
