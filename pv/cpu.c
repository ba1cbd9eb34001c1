/*
 * The virtual CPU: idling, the base of %fs, the end of the domain.
 *
 * Callers: kernel/. Ring 3. Locks: none. ABI: sched.h, xen-x86_64.h (set_segment_base).
 */
#include "pv/shared.h"

#include "pv/abi.h"
#include "pv/domu.h"
#include "pv/report.h"

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
    unsigned reason = how == PV_SHUTDOWN_EXIT ? SHUTDOWN_poweroff : SHUTDOWN_crash;

    if (how == PV_SHUTDOWN_OUT_OF_MEMORY)
        status = PARVUS_STATUS_OUT_OF_MEMORY;
    struct sched_shutdown shutdown = {.reason = reason | (status & 0xff) << 8};

    pv_console_ring_drain();
    if (pv_boot.status_latched)
        hypervisor_sched_op(SCHEDOP_shutdown_code, &shutdown);
    else
        pv_report(how, status);
    shutdown.reason = reason;
    for (;;) /* the hypervisor does not come back; if it does, there is nothing else to do */
        hypervisor_sched_op(SCHEDOP_shutdown, &shutdown);
}
