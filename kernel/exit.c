/*
 * The ordinary end of the guest.
 *
 * Callers: the main thread, libc's exit. Ring 3. Locks: none.
 */
#include "kernel/exit.h"

#include "kernel/log.h"
#include "pv/pv.h"

void kernel_exit(int status)
{
    unsigned code = (unsigned)status & 0xff;

    pv_events_mask();
    if (!pv_boot.status_reported) /* this hypervisor cannot pass it on: say it */
        log_write(LOG_LEVEL_INFO, "exit status %u", code);
    pv_shutdown(PV_SHUTDOWN_EXIT, code);
}
