/*
 * Interrupts of physical devices: pirqs bound to event channels, the same calls on Xen (as its
 * initial domain) and on the Parvus hypervisor. ABI: xen/physdev.h, event_channel.h (bind_pirq).
 *
 * Callers: drivers, in threads or at boot; pv_irq_done also in event handlers. Ring 3. Locks: none;
 * irqs[] is written with events masked, by a thread that owns the port.
 */
#include <errno.h>

#include "pv/events.h"
#include "pv/hypercall.h"

/* What stands behind a port. Xen numbers the pirqs of lines by GSI, others upwards from there. */
static struct {
    uint16_t pirq;
    bool is_bound;
    bool needs_eoi; /* level-triggered: masked until PHYSDEVOP_eoi. Not asked of Xen, whose
                       irq_status_query says so of every pirq */
} irqs[PV_EVENT_PORTS];

static void unmap(int pirq)
{
    struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF, .pirq = pirq};

    hypervisor_physdev_op(PHYSDEVOP_unmap_pirq, &unmap);
}

/* Gives a mapped pirq a port. Unmaps it on failure. */
static int bind(int pirq, bool needs_eoi, event_handler_t *fn, void *arg, event_port_t *port)
{
    struct evtchn_bind_pirq bind = {.pirq = (uint32_t)pirq};
    bool unmask = pv_events_mask();
    int error = pirq > UINT16_MAX
                    ? -ENOSPC
                    : pv_errno(hypervisor_event_channel_op(EVTCHNOP_bind_pirq, &bind));

    if (!error)
        error = pv_event_adopt(bind.port, fn, arg, port);
    if (!error) {
        irqs[*port].pirq = (uint16_t)pirq;
        irqs[*port].needs_eoi = needs_eoi;
        irqs[*port].is_bound = true;
    }
    pv_events_restore(unmask);
    if (error)
        unmap(pirq);
    return error;
}

int pv_irq_bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port)
{
    struct physdev_setup_gsi setup = {.gsi = (int)gsi,
                                      .triggering = trigger != PV_IRQ_EDGE,
                                      .polarity = trigger == PV_IRQ_LEVEL_LOW};
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = (int)gsi, .pirq = (int)gsi};
    int error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_setup_gsi, &setup));

    if (!error)
        error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_map_pirq, &map));
    return error ? error : bind(map.pirq, trigger != PV_IRQ_EDGE, fn, arg, port);
}

int pv_irq_bind_msix(uint16_t segment, uint8_t bus, uint8_t devfn, maddr_t bar, unsigned entry,
                     event_handler_t *fn, void *arg, event_port_t *port)
{
    /* Xen knows no device before it is told of it; a second time changes nothing. */
    struct physdev_pci_device_add add = {.seg = segment, .bus = bus, .devfn = devfn};
    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = MAP_PIRQ_TYPE_MSI_SEG,
                                   .index = -1, /* choose both */
                                   .pirq = -1,
                                   .bus = bus | segment << 16,
                                   .devfn = devfn,
                                   .entry_nr = (int)entry,
                                   .table_base = bar.n};
    int error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_pci_device_add, &add));

    if (!error)
        error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_map_pirq, &map));
    return error ? error : bind(map.pirq, false, fn, arg, port);
}

void pv_irq_done(event_port_t port)
{
    if (irqs[port].needs_eoi) {
        struct physdev_eoi eoi = {.irq = irqs[port].pirq};

        hypervisor_physdev_op(PHYSDEVOP_eoi, &eoi);
    }
}

int pv_irq_unbind(event_port_t port)
{
    if (port >= PV_EVENT_PORTS || !irqs[port].is_bound)
        return -EINVAL;
    int error = pv_event_close(port);
    if (error)
        return error;
    irqs[port].is_bound = irqs[port].needs_eoi = false;
    unmap(irqs[port].pirq);
    return 0;
}
