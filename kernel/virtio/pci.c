/*
 * Virtio over PCI (virtio 1.2, section 4.1), the modern interface: found by its capabilities, so
 * transitional devices do as well. Interrupts are MSI-X, an entry for the configuration and one for
 * each queue; INTx where a device has too few.
 *
 * Callers: virtio.c. Ring 3. Locks: none.
 */
#include <errno.h>
#include <stdbool.h>

#include "kernel/format.h"
#include "kernel/log.h"
#include "kernel/pci.h"
#include "kernel/virtio/transport.h"
#include "kernel/vm.h"

#define VENDOR 0x1af4 /* 4.1.2 */
#define DEVICE_TRANSITIONAL 0x1000
#define DEVICE_MODERN 0x1040
#define DEVICE_END 0x107f

enum { /* 4.1.4: virtio structure PCI capabilities */
       CAPABILITY_BYTES = 2,
       CAPABILITY_KIND = 3,
       CAPABILITY_BAR = 4,
       CAPABILITY_OFFSET = 8,
       CAPABILITY_LENGTH = 12,
       CAPABILITY_MULTIPLIER = 16,
};
enum kind { COMMON = 1, NOTIFY, ISR, DEVICE, KINDS };
static const uint32_t least_bytes[KINDS] = {[COMMON] = 56, [NOTIFY] = 2, [ISR] = 1, [DEVICE] = 1};
/* More than this of a part, nobody needs. */
#define MOST_BYTES 0x10000u

enum { /* 4.1.4.3: common configuration */
       DEVICE_FEATURES_SELECT = 0,
       DEVICE_FEATURES = 4,
       DRIVER_FEATURES_SELECT = 8,
       DRIVER_FEATURES = 12,
       CONFIG_VECTOR = 16,
       NR_QUEUES = 18,
       STATUS = 20,
       CONFIG_GENERATION = 21,
       QUEUE_SELECT = 22,
       QUEUE_ENTRIES = 24,
       QUEUE_VECTOR = 26,
       QUEUE_ENABLE = 28,
       QUEUE_NOTIFY_OFFSET = 30,
       QUEUE_DESCRIPTORS = 32,
       QUEUE_AVAILABLE = 40,
       QUEUE_USED = 48,
};
#define NO_VECTOR 0xffff
#define ISR_QUEUE 1
#define ISR_CONFIG 2

struct pci {
    struct pci_function function;
    struct {
        volatile char *at; /* NULL: the device has no such part */
        uint32_t bytes;
    } parts[KINDS];
    uint32_t notify_multiplier;
    bool has_msix;
    event_port_t port; /* INTx, or the configuration's entry */
};

static struct pci *pci_of(struct virtio_device *dev)
{
    return dev->bus;
}

static volatile void *common(struct virtio_device *dev, unsigned offset)
{
    return pci_of(dev)->parts[COMMON].at + offset;
}

static uint16_t get16(struct virtio_device *dev, unsigned offset)
{
    return *(volatile uint16_t *)common(dev, offset);
}

static void set16(struct virtio_device *dev, unsigned offset, uint16_t value)
{
    *(volatile uint16_t *)common(dev, offset) = value;
}

static void set32(struct virtio_device *dev, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)common(dev, offset) = value;
}

static uint8_t status(struct virtio_device *dev)
{
    return *(volatile uint8_t *)common(dev, STATUS);
}

static void set_status(struct virtio_device *dev, uint8_t value)
{
    *(volatile uint8_t *)common(dev, STATUS) = value;
}

static uint32_t features_half(struct virtio_device *dev, uint32_t half)
{
    set32(dev, DEVICE_FEATURES_SELECT, half);
    return *(volatile uint32_t *)common(dev, DEVICE_FEATURES);
}

static uint64_t features(struct virtio_device *dev)
{
    uint64_t high = features_half(dev, 1);

    return high << 32 | features_half(dev, 0);
}

static void set_features(struct virtio_device *dev, uint64_t value)
{
    for (unsigned half = 0; half < 2; half++) {
        set32(dev, DRIVER_FEATURES_SELECT, half);
        set32(dev, DRIVER_FEATURES, (uint32_t)(value >> 32 * half));
    }
}

/* --- Configuration (4.1.4.6) ---------------------------------------------------------------- */

static volatile void *config_at(struct virtio_device *dev, unsigned offset, unsigned bytes)
{
    const struct pci *p = pci_of(dev);
    uint32_t limit = p->parts[DEVICE].bytes;

    return offset <= limit && bytes <= limit - offset ? p->parts[DEVICE].at + offset : NULL;
}

static int config_read(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t *value)
{
    volatile void *at = config_at(dev, offset, bytes);

    if (!at)
        return -EINVAL;
    *value = bytes == 1   ? *(volatile uint8_t *)at
             : bytes == 2 ? *(volatile uint16_t *)at
                          : *(volatile uint32_t *)at;
    return 0;
}

static int config_write(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t value)
{
    volatile void *at = config_at(dev, offset, bytes);

    if (!at)
        return -EINVAL;
    if (bytes == 1)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (bytes == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else
        *(volatile uint32_t *)at = value;
    return 0;
}

static uint32_t config_generation(struct virtio_device *dev)
{
    return *(volatile uint8_t *)common(dev, CONFIG_GENERATION);
}

/* --- Queues (4.1.5.1.3) --------------------------------------------------------------------- */

static unsigned queue_max(struct virtio_device *dev, unsigned index)
{
    if (index >= get16(dev, NR_QUEUES))
        return 0;
    set16(dev, QUEUE_SELECT, (uint16_t)index);
    return get16(dev, QUEUE_ENTRIES);
}

static void set_address(struct virtio_device *dev, unsigned offset, maddr_t address)
{
    set32(dev, offset, (uint32_t)address.n);
    set32(dev, offset + 4, (uint32_t)(address.n >> 32));
}

static unsigned queue_vector(const struct virtio_queue *q)
{
    return q->index + 1u;
}

/* The device answers NO_VECTOR if it cannot have that (4.1.5.1.2.1). */
static int set_vector(struct virtio_device *dev, unsigned offset, unsigned vector)
{
    set16(dev, offset, (uint16_t)vector);
    if (get16(dev, offset) == vector)
        return 0;
    log_error("%s does not take MSI-X entry %u", dev->name, vector);
    return -EIO;
}

static int queue_enable(struct virtio_queue *q)
{
    struct virtio_device *dev = q->dev;
    const struct pci *p = pci_of(dev);

    set16(dev, QUEUE_SELECT, q->index);
    set16(dev, QUEUE_ENTRIES, (uint16_t)q->vq.entries);
    int error = p->has_msix ? set_vector(dev, QUEUE_VECTOR, queue_vector(q)) : 0;
    if (error)
        return error;
    uint64_t notify_offset = (uint64_t)get16(dev, QUEUE_NOTIFY_OFFSET) * p->notify_multiplier;
    if (notify_offset + 2 > p->parts[NOTIFY].bytes) {
        log_error("%s: queue %u would be notified outside of its part", dev->name, q->index);
        return -EIO;
    }
    q->notify_at = p->parts[NOTIFY].at + notify_offset;
    set_address(dev, QUEUE_DESCRIPTORS, q->vq.descriptors_at);
    set_address(dev, QUEUE_AVAILABLE, q->vq.available_at);
    set_address(dev, QUEUE_USED, q->vq.used_at);
    set16(dev, QUEUE_ENABLE, 1);
    return 0;
}

static void notify(struct virtio_queue *q) /* 4.1.5.2 */
{
    *(volatile uint16_t *)q->notify_at = q->index;
}

/* --- Interrupts (4.1.5.3, 4.1.5.4) ---------------------------------------------------------- */

static void intx(void *arg)
{
    struct virtio_device *dev = arg;
    const struct pci *p = pci_of(dev);
    uint8_t causes = *(volatile uint8_t *)p->parts[ISR].at; /* takes the line down, too */

    pv_irq_done(p->port);
    if (causes & ISR_CONFIG)
        virtio_config_changed(dev);
    if (causes & ISR_QUEUE)
        virtio_queues_used(dev);
}

static void msix_config(void *arg)
{
    struct virtio_device *dev = arg;

    pv_irq_done(pci_of(dev)->port);
    virtio_config_changed(dev);
}

static void msix_queue(void *arg)
{
    struct virtio_queue *q = arg;

    pv_irq_done(q->port);
    virtio_queue_used(q);
}

static void unbind(struct virtio_device *dev)
{
    struct pci *p = pci_of(dev);

    for (unsigned i = 0; i < dev->nr_queues; i++) {
        if (dev->queues[i].port)
            pv_irq_unbind(dev->queues[i].port);
        dev->queues[i].port = 0;
    }
    if (p->port && p->has_msix)
        pv_irq_unbind(p->port);
    else if (p->port)
        pci_intx_unbind(&p->function, p->port);
    p->port = 0;
    if (p->has_msix)
        pci_msix_enable(&p->function, false);
}

static int bind_msix(struct virtio_device *dev)
{
    struct pci *p = pci_of(dev);
    p->has_msix = true;

    int error = pci_msix_bind(&p->function, 0, msix_config, dev, &p->port);

    for (unsigned i = 0; i < dev->nr_queues && !error; i++) {
        struct virtio_queue *q = &dev->queues[i];

        error = pci_msix_bind(&p->function, queue_vector(q), msix_queue, q, &q->port);
    }
    if (error)
        return error;
    pci_msix_enable(&p->function, true);
    return set_vector(dev, CONFIG_VECTOR, 0);
}

static int bind(struct virtio_device *dev)
{
    struct pci *p = pci_of(dev);
    int error = -ENOSPC;

    if (pci_msix_entries(&p->function) > dev->nr_queues) {
        error = bind_msix(dev);
        if (error)
            unbind(dev);
        p->has_msix = !error;
    }
    if (error)
        error = pci_intx_bind(&p->function, intx, dev, &p->port);
    if (error)
        log_error("%s: neither MSI-X nor INTx can be had: error %d", dev->name, -error);
    else if (p->has_msix)
        log_debug("%s: MSI-X", dev->name);
    else
        log_debug("%s: INTx, line %u", dev->name, pci_read8(&p->function, PCI_INTERRUPT_LINE));
    return error;
}

/* --- Discovery ------------------------------------------------------------------------------ */

static const struct virtio_transport transport = {
    .name = "pci",
    .bus_bytes = sizeof(struct pci),
    .status = status,
    .set_status = set_status,
    .features = features,
    .set_features = set_features,
    .config_read = config_read,
    .config_write = config_write,
    .config_generation = config_generation,
    .queue_max = queue_max,
    .bind = bind,
    .unbind = unbind,
    .queue_enable = queue_enable,
    .notify = notify,
};

static void unmap_parts(struct pci *p)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        uintptr_t start = (uintptr_t)p->parts[kind].at & -PAGE_SIZE;
        uintptr_t end = (uintptr_t)p->parts[kind].at + p->parts[kind].bytes;

        if (start)
            vm_unmap((void *)start, ((end + PAGE_SIZE - 1) & -PAGE_SIZE) - start);
    }
}

/* 4.1.4.1: the first capability of each kind that we can use counts. */
static void map_part(struct pci *p, unsigned at)
{
    const struct pci_function *f = &p->function;
    unsigned kind = pci_read8(f, at + CAPABILITY_KIND);
    unsigned bar = pci_read8(f, at + CAPABILITY_BAR);
    uint32_t offset = pci_read32(f, at + CAPABILITY_OFFSET);
    uint32_t bytes = pci_read32(f, at + CAPABILITY_LENGTH);
    volatile void *mapped;

    if (kind < COMMON || kind >= KINDS || p->parts[kind].at || bytes < least_bytes[kind])
        return;
    if (bytes > MOST_BYTES)
        bytes = MOST_BYTES;
    if (pci_map_bar(f, bar, offset, bytes, "virtio pci", &mapped))
        return;
    p->parts[kind].at = mapped;
    p->parts[kind].bytes = bytes;
    if (kind == NOTIFY)
        p->notify_multiplier = pci_read32(f, at + CAPABILITY_MULTIPLIER);
}

static bool map_parts(struct pci *p)
{
    unsigned at;

    for (unsigned nth = 0; (at = pci_capability(&p->function, PCI_CAPABILITY_VENDOR, nth)); nth++)
        map_part(p, at);
    return p->parts[COMMON].at && p->parts[NOTIFY].at && p->parts[ISR].at;
}

/* 4.1.2.1; a transitional device has the type in its subsystem. */
static uint32_t device_id_of(const struct pci_function *f)
{
    return f->device >= DEVICE_MODERN ? f->device - (uint32_t)DEVICE_MODERN : f->subsystem;
}

static int visit(const struct pci_function *f, void *unused)
{
    struct pci p = {.function = *f};
    char place[16];

    (void)unused;
    if (f->vendor != VENDOR || f->device < DEVICE_TRANSITIONAL || f->device > DEVICE_END)
        return 0;
    ksnprintf(place, sizeof(place), PCI_NAME, PCI_NAME_OF(f));
    pci_command(f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
    if (!map_parts(&p))
        log_error("virtio pci device %s (type %u): it lacks the interface of virtio 1.0; legacy "
                  "devices are not supported (QEMU: disable-modern=off)",
                  place, device_id_of(f));
    else if (virtio_found(&transport, &p, device_id_of(f), place) == 0)
        return 0;
    pci_command(f, 0, PCI_COMMAND_MASTER);
    unmap_parts(&p);
    return 0;
}

void virtio_pci_scan(void)
{
    pci_scan(visit, NULL);
}
