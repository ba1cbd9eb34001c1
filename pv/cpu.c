/*
 * The virtual CPU: idling, the base of %fs, the end of the domain.
 *
 * Callers: kernel/. Ring 3. Locks: none. ABI: sched.h, xen-x86_64.h (set_segment_base).
 */
#include "pv/shared.h"

#include "pv/abi.h"

void pv_block(void)
{
    hypervisor_sched_op(SCHEDOP_block, NULL);
}

int pv_set_fs_base(uintptr_t base)
{
    return pv_errno(hypervisor_set_segment_base(SEGBASE_FS, base));
}

void pv_shutdown(enum pv_shutdown how, unsigned status)
{
    unsigned reason = how == PV_SHUTDOWN_CRASH ? SHUTDOWN_crash : SHUTDOWN_poweroff;
    struct sched_shutdown shutdown = {.reason = reason | (status & 0xff) << 8};

    if (pv_boot.status_reported)
        hypervisor_sched_op(SCHEDOP_shutdown_code, &shutdown);
    shutdown.reason = reason;
    for (;;) /* the hypervisor does not come back; if it does, there is nothing else to do */
        hypervisor_sched_op(SCHEDOP_shutdown, &shutdown);
}
