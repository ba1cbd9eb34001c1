/*
 * The boot story. pv/start.c comes here on the boot stack, events masked, ring 3.
 */
#include <errno.h>

#include "kernel/application.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/console.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/timer.h"
#include "kernel/virtio/virtio.h"
#include "kernel/vm.h"
#include "kernel/xen_memory.h"

#define MAIN_STACK_MAX_BYTES (1ul << 20)
#define FAULT_STACK_BYTES 4096

/* Finds the devices and runs the application; its end is the guest's. */
static void *main_thread(void *unused)
{
    int argc = cmdline_argc();
    char *argv[argc + 1], *envp[cmdline_envc() + 1];

    (void)unused;
    virtio_init();
    console_init();
    xen_memory_init();
    cmdline_argv(argv);
    cmdline_envp(envp);
    kernel_exit(application_main(argc, argv, envp));
}

/* 1/64 of the memory within reason, or what stack= says. */
static size_t main_stack_bytes(void)
{
    size_t bytes = pv_boot.nr_pages * PAGE_SIZE / 64;

    if (cmdline_get_size("stack", &bytes) != 0) {
        if (bytes < THREAD_STACK_DEFAULT_BYTES)
            bytes = THREAD_STACK_DEFAULT_BYTES;
        if (bytes > MAIN_STACK_MAX_BYTES)
            bytes = MAIN_STACK_MAX_BYTES;
    }
    return bytes;
}

static void start_main_thread(void)
{
    struct thread_attr attr = {.name = "main", .stack_bytes = main_stack_bytes()};
    struct thread *t;
    int error = thread_create(&t, &attr, main_thread, NULL);

    if (error == -EINVAL)
        panic("stack=%zu bytes: out of range", attr.stack_bytes);
    if (error)
        panic_out_of_memory("no memory for a main stack of %zu bytes", attr.stack_bytes);
    thread_detach(t);
}

/* The event stack is the current one, whose guard page each thread has; this one needs its own. */
static int fault_stack_init(void)
{
    void *stack;
    int error =
        vm_map(&stack, FAULT_STACK_BYTES, VM_READ | VM_WRITE | VM_GUARD | VM_DIRTY, "fault stack");

    if (!error)
        pv_set_fault_stack((char *)stack + FAULT_STACK_BYTES);
    return error;
}

static void expect(int error, const char *step)
{
    if (error == -ENOMEM)
        panic_out_of_memory("%s: out of memory", step);
    if (error)
        panic("%s failed: error %d", step, -error);
}

void kernel_main(void)
{
    static struct thread idle = {.name = "idle", .priority = THREAD_PRIORITY_IDLE};

    sched_init(&idle);                         /* this context becomes the idle thread */
    cmdline_init(pv_boot.command_line);        /* parameters, log level */
    expect(vm_init(), "memory");               /* frames, address space, protections */
    expect(fault_stack_init(), "fault stack"); /* where stack overflows are reported */
    tls_init();                                /* how to set %fs */
    fpu_init();                                /* what preemption has to save */
    expect(timer_init(), "timer");             /* deadlines instead of ticks */
    start_main_thread();                       /* to run as soon as we idle */
    log_info("%lu KiB of memory on %s", pv_boot.nr_pages * PAGE_SIZE / 1024, pv_boot.hypervisor);
    sched_idle();
}
