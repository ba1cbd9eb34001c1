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

#include "kernel/format.h"
#include "kernel/sched.h"

#define FIRST_FRAMES 16 /* of a long backtrace; a runaway recursion says nothing new behind */
#define LAST_FRAMES 6

extern const char image_text_start[], image_data_start[];
extern const char pv_boot_stack[], pv_boot_stack_top[];

static void print(const char *format, ...) __attribute__((cold, format(printf, 1, 2)));
static void print(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int length = kvsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length > (int)sizeof(line) - 1)
        length = sizeof(line) - 1;
    pv_console_write(line, (size_t)length);
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

/* The call that made the frame at *rbp, which moves on to the next; 0 at the end. */
static uintptr_t next_frame(uintptr_t *rbp, uintptr_t *above)
{
    if (!is_frame(*rbp, *above))
        return 0;
    const uintptr_t *frame = (const uintptr_t *)*rbp;
    *above = *rbp;
    *rbp = frame[0];
    /* Back into the call instruction: what follows it may be another function's. */
    return is_text(frame[1]) ? frame[1] - 1 : 0;
}

/* Addresses as they were linked, which a debugger and the host's tool know. */
static uintptr_t as_linked(uintptr_t address)
{
    return is_text(address) ? address - pv_image_slide : address;
}

static void print_backtrace(uintptr_t rip, uintptr_t rbp)
{
    uintptr_t from = rbp, above = 0, address;
    int total = 1, n = 1;

    if (pv_image_slide)
        print("  image 0x%lx above where it was linked; below, addresses as linked\n",
              pv_image_slide);

    while (next_frame(&from, &above))
        total++;
    print("  #0 0x%lx\n", as_linked(rip));
    above = 0;
    for (; (address = next_frame(&rbp, &above)) != 0; n++) {
        if (n < FIRST_FRAMES || n >= total - LAST_FRAMES)
            print("  #%d 0x%lx\n", n, as_linked(address));
        else if (n == FIRST_FRAMES)
            print("  ... %d frames more ...\n", total - LAST_FRAMES - FIRST_FRAMES);
    }
}

/* The first panic tells its story; one inside it only its message; a third says nothing. */
_Noreturn static void die(const struct trap_frame *frame, enum pv_shutdown how, const char *format,
                          va_list args, uintptr_t rip, uintptr_t rbp)
{
    static unsigned depth;
    char message[192];

    pv_events_mask();
    if (++depth > 2)
        pv_shutdown(how, 0);
    kvsnprintf(message, sizeof(message), format, args);
    print("parvus: panic: %s\n", message);
    if (depth == 1) {
        const struct thread *self = thread_self();

        print("  thread %s\n", self ? self->name : "(boot)");
        if (frame)
            print_registers(frame);
        print_backtrace(rip, rbp);
    }
    pv_shutdown(how, 0);
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(NULL, PV_SHUTDOWN_CRASH, format, args, (uintptr_t)__builtin_return_address(0) - 1,
        *(uintptr_t *)__builtin_frame_address(0));
}

void panic_at(const struct trap_frame *frame, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(frame, PV_SHUTDOWN_CRASH, format, args, frame->rip, frame->rbp);
}

void panic_out_of_memory(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die(NULL, PV_SHUTDOWN_OUT_OF_MEMORY, format, args, (uintptr_t)__builtin_return_address(0) - 1,
        *(uintptr_t *)__builtin_frame_address(0));
}
