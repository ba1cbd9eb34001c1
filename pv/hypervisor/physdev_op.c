/*
 * physdev_op: xen/physdev.h. Port access is granted through the TSS's I/O bitmap, which works on
 * every host (IOPL does not). Ring 0.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/physdev.h>
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/pirq.h"
#include "pv/hypervisor/work.h"

#define NR_PORTS 65536

/* What the guest asked for. As in Xen, the bitmap stays the guest's and counts without I/O
 * privilege only; it is read when either changes, not at each access. */
static struct {
    int all;
    uint64_t bitmap; /* guest-virtual; a clear bit allows */
    uint32_t nr_ports;
} ports;

static void update_ports(void)
{
    uint8_t *bitmap = cpu_port_bitmap();

    work.left -= NR_PORTS / 256; /* its bytes are written, and may be read as well */
    if (ports.all || !ports.nr_ports) {
        cpu_set_port_access(ports.all);
        return;
    }
    __builtin_memset(bitmap, 0xff, NR_PORTS / 8);
    if (guest_read(bitmap, ports.bitmap, (ports.nr_ports + 7) / 8))
        __builtin_memset(bitmap, 0xff, NR_PORTS / 8);
    if (ports.nr_ports % 8)
        bitmap[ports.nr_ports / 8] |= (uint8_t)(0xff << ports.nr_ports % 8);
    cpu_use_port_bitmap();
}

static int64_t set_iopl(const struct physdev_set_iopl *op)
{
    if (op->iopl > 3)
        return -EINVAL;
    ports.all = op->iopl > 0;
    update_ports();
    return 0;
}

static int64_t set_iobitmap(const struct physdev_set_iobitmap *op)
{
    if (op->nr_ports > NR_PORTS || !guest_range_is_ok((uint64_t)op->bitmap.p, NR_PORTS / 8))
        return -EINVAL;
    ports.bitmap = (uint64_t)op->bitmap.p;
    ports.nr_ports = op->nr_ports;
    update_ports();
    return 0;
}

/* Functions need no announcement here, unlike in Xen; those that are not there have none. */
static int64_t pci_device_add(const struct physdev_pci_device_add *op)
{
    if (op->flags & XEN_PCI_DEV_VIRTFN)
        return -EOPNOTSUPP; /* its BARs are its parent's */
    return op->seg == 0 && pci_is_there((pci_id_t){(uint16_t)(op->bus << 8 | op->devfn)}) ? 0
                                                                                          : -ENODEV;
}

static int64_t map_message(struct physdev_map_pirq *op)
{
    pci_id_t function = {(uint16_t)((op->bus & 0xff) << 8 | (op->devfn & 0xff))};
    int segment = op->type == MAP_PIRQ_TYPE_MSI ? 0 : op->bus >> 16;

    if (op->index != -1) /* Xen: an interrupt of its own that exists already */
        return -EINVAL;
    if (segment != 0)
        return -ENODEV;

    int pirq = pirq_map_msi(function, op->entry_nr, op->table_base, op->pirq);

    if (pirq < 0)
        return pirq;
    op->pirq = pirq;
    return 0;
}

static int64_t map_pirq(struct physdev_map_pirq *op)
{
    int64_t error;

    if (!domid_is_self(op->domid))
        return -ESRCH;
    switch (op->type) {
    case MAP_PIRQ_TYPE_GSI:
        if (op->pirq >= 0 && op->pirq != op->index)
            return -EINVAL;
        error = pirq_map_gsi(op->index);
        if (!error)
            op->pirq = op->index;
        return error;
    case MAP_PIRQ_TYPE_MULTI_MSI:
        if (op->table_base)
            return -EINVAL;
        if (op->entry_nr <= 0 || op->entry_nr > 32)
            return -EDOM;
        if (op->entry_nr != 1)
            return -EOPNOTSUPP; /* as Xen without interrupt remapping */
        return map_message(op);
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
        return map_message(op);
    default:
        return -EINVAL;
    }
}

static int64_t irq_status_query(struct physdev_irq_status_query *op)
{
    if (op->irq >= NR_PIRQS)
        return -EINVAL;
    op->flags = pirq_needs_eoi(op->irq) ? XENIRQSTAT_needs_eoi : 0;
    return 0;
}

int64_t hypercall_physdev_op(uint64_t command, uint64_t arg)
{
    union {
        struct physdev_eoi eoi;
        struct physdev_pirq_eoi_gmfn pirq_eoi_gmfn;
        struct physdev_irq_status_query irq_status_query;
        struct physdev_set_iopl set_iopl;
        struct physdev_set_iobitmap set_iobitmap;
        struct physdev_map_pirq map_pirq;
        struct physdev_unmap_pirq unmap_pirq;
        struct physdev_setup_gsi setup_gsi;
        struct physdev_pci_device_add pci_device_add;
    } op;
    static const uint8_t op_bytes[] = {
        [PHYSDEVOP_eoi] = sizeof(op.eoi),
        [PHYSDEVOP_pirq_eoi_gmfn_v2] = sizeof(op.pirq_eoi_gmfn),
        [PHYSDEVOP_irq_status_query] = sizeof(op.irq_status_query),
        [PHYSDEVOP_set_iopl] = sizeof(op.set_iopl),
        [PHYSDEVOP_set_iobitmap] = sizeof(op.set_iobitmap),
        [PHYSDEVOP_map_pirq] = sizeof(op.map_pirq),
        [PHYSDEVOP_unmap_pirq] = sizeof(op.unmap_pirq),
        [PHYSDEVOP_setup_gsi] = sizeof(op.setup_gsi),
        [PHYSDEVOP_pci_device_add] = offsetof(struct physdev_pci_device_add, optarr),
    };
    int64_t result;

    command = (uint32_t)command;
    if (command >= sizeof(op_bytes) || op_bytes[command] == 0)
        return -ENOSYS;
    if (guest_read(&op, arg, op_bytes[command]))
        return -EFAULT;
    switch (command) {
    case PHYSDEVOP_eoi:
        return pirq_eoi(op.eoi.irq);
    case PHYSDEVOP_pirq_eoi_gmfn_v2:
        return pirq_set_eoi_map(mfn(op.pirq_eoi_gmfn.gmfn));
    case PHYSDEVOP_set_iopl:
        return set_iopl(&op.set_iopl);
    case PHYSDEVOP_set_iobitmap:
        return set_iobitmap(&op.set_iobitmap);
    case PHYSDEVOP_unmap_pirq:
        return domid_is_self(op.unmap_pirq.domid) ? pirq_unmap(op.unmap_pirq.pirq) : -ESRCH;
    case PHYSDEVOP_setup_gsi:
        return pirq_setup_gsi(op.setup_gsi.gsi, op.setup_gsi.triggering, op.setup_gsi.polarity);
    case PHYSDEVOP_pci_device_add:
        return pci_device_add(&op.pci_device_add);
    case PHYSDEVOP_irq_status_query:
        result = irq_status_query(&op.irq_status_query);
        break;
    case PHYSDEVOP_map_pirq:
        result = map_pirq(&op.map_pirq);
        break;
    default:
        return -ENOSYS;
    }
    if (result == 0 && guest_write(arg, &op, op_bytes[command]))
        return -EFAULT;
    return result;
}
