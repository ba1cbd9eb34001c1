/* memory_op: xen/memory.h. The domain's memory is what it was built with. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/memory.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/frame.h"

#define E820_RAM 1

struct e820_entry { /* xen/arch-x86/xen.h has none; ACPI 6.4, 15.4 */
    uint64_t start, bytes;
    uint32_t type;
} __attribute__((packed));

static int64_t memory_map_op(uint64_t arg)
{
    struct xen_memory_map map;
    struct e820_entry entry = {0, domain.nr_pages * PAGE_BYTES, E820_RAM};

    if (guest_read(&map, arg, sizeof(map)))
        return -EFAULT;
    if (map.nr_entries < 1)
        return -EINVAL;
    map.nr_entries = 1;
    if (guest_write((uint64_t)map.buffer.p, &entry, sizeof(entry)) ||
        guest_write(arg, &map, sizeof(map)))
        return -EFAULT;
    return 0;
}

static int64_t read_domid(uint64_t arg)
{
    domid_t domid;

    if (guest_read(&domid, arg, sizeof(domid)))
        return -EFAULT;
    return domid_is_self(domid) ? 0 : -ESRCH;
}

int64_t hypercall_memory_op(uint64_t command, uint64_t arg)
{
    int64_t error;

    switch (command) {
    case XENMEM_maximum_ram_page: /* one beyond, whatever the header says (Xen: max_page) */
        return (int64_t)frame_limit;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        error = read_domid(arg);
        if (error)
            return error;
        return (int64_t)domain.nr_pages - (command == XENMEM_maximum_gpfn);
    case XENMEM_machphys_mapping: {
        struct xen_machphys_mapping mapping = {MACH2PHYS_VIRT_START, MACH2PHYS_VIRT_END,
                                               frame_limit - 1};

        return guest_write(arg, &mapping, sizeof(mapping));
    }
    case XENMEM_memory_map:
        return memory_map_op(arg);
    default:
        return -ENOSYS;
    }
}
