/*
 * physdev_op: xen/physdev.h. Port access is granted through the TSS's I/O bitmap, which works on
 * every host (IOPL does not). Ring 0.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/physdev.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/cpu.h"

int64_t hypercall_physdev_op(uint64_t command, uint64_t arg)
{
    struct physdev_set_iopl op;

    switch ((uint32_t)command) {
    case PHYSDEVOP_set_iopl:
        if (guest_read(&op, arg, sizeof(op)))
            return -EFAULT;
        if (op.iopl > 3)
            return -EINVAL;
        cpu_set_port_access(op.iopl > 0);
        return 0;
    default:
        return -ENOSYS;
    }
}
