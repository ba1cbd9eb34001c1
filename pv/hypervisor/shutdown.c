/* See shutdown.h. */
#include <stdarg.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/sched.h>
#include "pv/abi.h"
#include "pv/hypervisor/shutdown.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/print.h"

_Noreturn static void end(const char *line, uint32_t value)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};

    cpu_debug_console(line);
    cpu_outl(DEBUG_EXIT_PORT, value);
    /* Still here: no such device. An exception without an IDT resets every PC (triple fault). */
    __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    __builtin_unreachable();
}

_Noreturn static void end_with_status(unsigned int status)
{
    char line[] = "exit 000\n";
    char *digit = line + sizeof(line) - 3;

    for (unsigned int rest = status, i = 0; i < 3; i++, rest /= 10)
        *digit-- = (char)('0' + rest % 10);
    end(line, status < DEBUG_EXIT_STATUS_LIMIT ? status : DEBUG_EXIT_STATUS_LARGE);
}

_Noreturn void shutdown_domain(unsigned int reason)
{
    unsigned int status = 0;

    if (domain.has_shutdown_code) /* it was first, so it counts (as in Xen) */
        reason = domain.shutdown_code & 0xff;
    if (domain.has_shutdown_code && (domain.features & PARVUS_FEATURE_EXIT_STATUS))
        status = domain.shutdown_code >> 8 & 0xff;
    switch (reason) {
    case SHUTDOWN_poweroff:
    case SHUTDOWN_reboot:
        end_with_status(status);
    case SHUTDOWN_crash:
        if (status == PARVUS_STATUS_OUT_OF_MEMORY)
            end("oom\n", DEBUG_EXIT_OUT_OF_MEMORY);
        end("crash\n", DEBUG_EXIT_CRASH);
    default:
        print("parvus: the guest asked for a shutdown of an unknown kind (%u)\n", reason);
        end("crash\n", DEBUG_EXIT_CRASH);
    }
}

static void print_registers(const struct frame *frame)
{
    print("  rip %#lx rsp %#lx rflags %#lx cs %#lx cr2 %#lx cr3 %#lx\n", frame->rip, frame->rsp,
          frame->rflags, frame->cs & 0xffff, cpu_read_cr2(), cpu_read_cr3());
    print("  rax %#lx rcx %#lx rdx %#lx rsi %#lx rdi %#lx\n", frame->rax, frame->rcx, frame->rdx,
          frame->rsi, frame->rdi);
    print("  r8 %#lx r9 %#lx r10 %#lx r11 %#lx\n", frame->r8, frame->r9, frame->r10, frame->r11);
}

_Noreturn void shutdown_crash(const struct frame *frame, const char *format, ...)
{
    va_list args;

    print("parvus: the guest crashed: ");
    va_start(args, format);
    print_list(format, args);
    va_end(args);
    print("\n");
    print_registers(frame);
    print("  #0 %#lx\n", frame->rip);
    end("crash\n", DEBUG_EXIT_CRASH);
}

_Noreturn void shutdown_hypervisor_fault(struct frame *frame)
{
    static int is_nested;

    if (is_nested++)
        end("hypervisor\n", DEBUG_EXIT_HYPERVISOR);
    print("parvus: fault in the hypervisor: exception %lu, error code %#lx\n", frame->vector,
          frame->error);
    print_registers(frame);

    const struct callee_saved *saved = frame_callee_saved(frame);

    print("  rbx %#lx rbp %#lx r12 %#lx r13 %#lx r14 %#lx r15 %#lx\n", saved->rbx, saved->rbp,
          saved->r12, saved->r13, saved->r14, saved->r15);
    print("  #0 %#lx\n", frame->rip);

    /* Frame pointers, as long as they stay on this CPU's stack. */
    uint64_t rbp = saved->rbp, top = (uint64_t)this_cpu(), bottom = top - CPU_STACK_BYTES;

    for (unsigned int i = 1; i < 16 && rbp > bottom && rbp < top - 8 && !(rbp & 7); i++) {
        const uint64_t *link = (const uint64_t *)rbp;

        print("  #%u %#lx\n", i, link[1]);
        if (link[0] <= rbp)
            break;
        rbp = link[0];
    }
    end("hypervisor\n", DEBUG_EXIT_HYPERVISOR);
}

_Noreturn void boot_fail(const char *format, ...)
{
    va_list args;

    print("parvus: cannot boot: ");
    va_start(args, format);
    print_list(format, args);
    va_end(args);
    print("\n");
    end("hypervisor\n", DEBUG_EXIT_HYPERVISOR);
}
