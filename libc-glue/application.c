/*
 * The life of the application: constructors, main, exit.
 *
 * Called by the kernel's main thread when everything of the kernel is up. Ring 3, events enabled.
 */
#include <parvus.h>
#include <reent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/application.h"
#include "kernel/exit.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "libc-glue/fd.h"
#include "net/net.h"

/* NULL where nothing in the image uses the network: these references alone do not link it. */
#pragma weak net_start
#pragma weak net_finish

extern char **environ;

char *program_invocation_name, *program_invocation_short_name;

int main(int argc, char **argv, char **envp);

/* newlib's walks over the constructor and destructor arrays of the linker script. */
void __libc_init_array(void);
void __libc_fini_array(void);

/* In each thread that ends: what newlib allocated on its behalf. Its variables themselves (errno
 * and so on) are in the thread's TLS block. */
static void reclaim_thread(void)
{
    _reclaim_reent(NULL);
}

/* What the network has not delivered yet is, as on Linux, for a while. The first end counts:
 * another thread that comes here meanwhile, say because its connection is gone, waits for it. */
void _exit(int status)
{
    static atomic_flag is_ending = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&is_ending))
        thread_sleep_until(UINT64_MAX);
    if (net_finish)
        net_finish();
    kernel_exit(status);
}

int application_main(int argc, char **argv, char **envp)
{
    environ = envp;
    program_invocation_name = argv[0];
    program_invocation_short_name = argv[0]; /* no path: kernel/cmdline.c */
    thread_on_exit(reclaim_thread);
    fd_init();
    if (net_start && net_start() != 0)
        panic_out_of_memory("no memory for the network");
    if (!parvus_makes_code && vm_seal() != 0)
        panic("the hypervisor refuses to seal the image");
    /* Registered first, destructors run after every handler that the application registers. */
    atexit(__libc_fini_array);
    __libc_init_array();
    exit(main(argc, argv, envp));
}
