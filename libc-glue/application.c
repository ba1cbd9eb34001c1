/*
 * The life of the application: constructors, main, exit.
 *
 * Called by the kernel's main thread when everything of the kernel is up. Ring 3, events enabled.
 */
#include <reent.h>
#include <stdlib.h>

#include "kernel/application.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "libc-glue/fd.h"
#include "net/net.h"

/* NULL where nothing in the image uses the network: this reference alone does not link it. */
#pragma weak net_start

extern char **environ;

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

int application_main(int argc, char **argv, char **envp)
{
    environ = envp;
    thread_on_exit(reclaim_thread);
    fd_init();
    if (net_start && net_start() != 0)
        panic_out_of_memory("no memory for the network");
    /* Registered first, destructors run after every handler that the application registers. */
    atexit(__libc_fini_array);
    __libc_init_array();
    exit(main(argc, argv, envp));
}
