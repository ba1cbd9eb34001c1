/*
 * Interrupts of physical devices: pirqs bound to event channels, the same calls on Xen (as its
 * initial domain) and on the Parvus hypervisor. ABI: xen/physdev.h, event_channel.h (bind_pirq).
 *
 * Callers: drivers, in threads or at boot, one at a time; pv_irq_done also in event handlers.
 * Ring 3. Locks: none; what handlers read is written with events masked.
 */
#include <errno.h>

#include "pv/events.h"
#include "pv/hypercall.h"

/* What stands behind a port. Xen numbers the pirqs of lines by GSI, others from the top down. */
static struct {
    uint16_t pirq;
    bool is_bound;
    bool is_message;
    bool needs_eoi; /* level-triggered: masked until PHYSDEVOP_eoi. Not asked of Xen, whose
                       irq_status_query says so of every pirq */
} irqs[PV_EVENT_PORTS];

/* A level-triggered line, which several devices may share. What binding returns for one of them is
 * the line's port with the user's number above it. */
#define LINES 8
#define LINE_USERS 8
#define USER_SHIFT 16
static struct line {
    event_port_t port;
    uint16_t gsi;
    uint8_t nr_users; /* 0: not in use */
    struct {
        event_handler_t *fn;
        void *arg;
    } users[LINE_USERS];
} lines[LINES];

static event_port_t port_of(event_port_t handle)
{
    return handle & ((1u << USER_SHIFT) - 1);
}

static void unmap(int pirq)
{
    struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF, .pirq = pirq};

    hypervisor_physdev_op(PHYSDEVOP_unmap_pirq, &unmap);
}

/* Gives a mapped pirq a port. */
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
        irqs[*port].is_message = false;
        irqs[*port].is_bound = true;
    }
    pv_events_restore(unmask);
    return error;
}

static int bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port)
{
    struct physdev_setup_gsi setup = {.gsi = (int)gsi,
                                      .triggering = trigger != PV_IRQ_EDGE,
                                      .polarity = trigger == PV_IRQ_LEVEL_LOW};
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = (int)gsi, .pirq = (int)gsi};
    int error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_setup_gsi, &setup));

    /* What is bound once stays set up and mapped: Xen takes the right to a line away when it is
     * unmapped. */
    if (!error || error == -EEXIST)
        error = pv_errno(hypervisor_physdev_op(PHYSDEVOP_map_pirq, &map));
    return error ? error : bind(map.pirq, trigger != PV_IRQ_EDGE, fn, arg, port);
}

static void line_event(void *arg)
{
    const struct line *line = arg;

    for (unsigned i = 0; i < LINE_USERS; i++)
        if (line->users[i].fn)
            line->users[i].fn(line->users[i].arg);
}

static struct line *find_line(unsigned gsi)
{
    struct line *unused = NULL;

    for (struct line *line = lines; line < lines + LINES; line++) {
        if (line->nr_users && line->gsi == gsi)
            return line;
        if (!line->nr_users)
            unused = line;
    }
    return unused;
}

/* A user's place must be there before the first event. */
static int bind_line(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                     event_port_t *handle)
{
    struct line *line = find_line(gsi);
    unsigned user = 0;
    int error = 0;

    while (line && user < LINE_USERS && line->users[user].fn)
        user++;
    if (!line || user == LINE_USERS)
        return -ENOSPC;

    bool unmask = pv_events_mask();
    line->users[user].arg = arg;
    line->users[user].fn = fn;
    if (!line->nr_users) {
        line->gsi = (uint16_t)gsi;
        error = bind_gsi(gsi, trigger, line_event, line, &line->port);
    }
    if (error)
        line->users[user].fn = NULL;
    else
        line->nr_users++;
    pv_events_restore(unmask);
    *handle = line->port | (user + 1) << USER_SHIFT;
    return error;
}

int pv_irq_bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port)
{
    if (gsi > UINT16_MAX)
        return -EINVAL;
    if (trigger == PV_IRQ_EDGE)
        return bind_gsi(gsi, trigger, fn, arg, port);
    return bind_line(gsi, trigger, fn, arg, port);
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
    if (!error) {
        error = bind(map.pirq, false, fn, arg, port);
        if (error)
            unmap(map.pirq);
        else
            irqs[*port].is_message = true;
    }
    return error;
}

void pv_irq_done(event_port_t handle)
{
    event_port_t port = port_of(handle);

    if (irqs[port].needs_eoi) {
        struct physdev_eoi eoi = {.irq = irqs[port].pirq};

        hypervisor_physdev_op(PHYSDEVOP_eoi, &eoi);
    }
}

/* How many users the line still has, or -EINVAL: this is none. */
static int leave_line(event_port_t port, unsigned user)
{
    for (struct line *line = lines; line < lines + LINES; line++) {
        if (line->nr_users && line->port == port && line->users[user].fn) {
            line->users[user].fn = NULL;
            return --line->nr_users;
        }
    }
    return -EINVAL;
}

int pv_irq_unbind(event_port_t handle)
{
    event_port_t port = port_of(handle);
    unsigned user = handle >> USER_SHIFT;

    if (port >= PV_EVENT_PORTS || user > LINE_USERS || !irqs[port].is_bound)
        return -EINVAL;
    int others = user ? leave_line(port, user - 1) : 0;
    if (others)
        return others > 0 ? 0 : others;
    int error = pv_event_close(port);
    if (error)
        return error;
    irqs[port].is_bound = irqs[port].needs_eoi = false;
    if (irqs[port].is_message)
        unmap(irqs[port].pirq);
    return 0;
}
