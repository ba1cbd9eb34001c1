/*
 * The life of a virtio device: reset, features, queues, ready, configuration, broken (virtio 1.2,
 * sections 2.1 to 2.5 and 3.1).
 *
 * Callers: kernel/main.c (virtio_init), transports, drivers. Ring 3. Locks: none; devices are made
 * at boot in one thread, is_broken only ever goes from false to true, with events masked.
 */
#include "kernel/virtio/virtio.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "kernel/format.h"
#include "kernel/log.h"
#include "kernel/virtio/transport.h"
#include "kernel/vm.h"

/* Device status, 2.1. */
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 64
#define STATUS_FAILED 128
#define STATUS_GONE 0xff /* what a read of a device that is not there gives */

/* Feature bits of all devices, 6. */
#define F_INDIRECT_DESC 28
#define F_EVENT_IDX 29
#define F_VERSION_1 32
#define FEATURES_OF_ALL (1ull << F_INDIRECT_DESC | 1ull << F_EVENT_IDX | 1ull << F_VERSION_1)

/* How often we ask a device again; each time may cost an exit. An honest one needs one or two. */
#define RESET_TRIES 1000
#define CONFIG_TRIES 100

extern const struct virtio_driver virtio_balloon_driver, virtio_blk_driver, virtio_console_driver,
    virtio_net_driver, virtio_p9_driver, virtio_rng_driver;

static const struct virtio_driver *const drivers[] = {
    &virtio_balloon_driver, &virtio_blk_driver, &virtio_console_driver,
    &virtio_net_driver,     &virtio_p9_driver,  &virtio_rng_driver,
};

static void add_status(struct virtio_device *dev, uint8_t bits)
{
    dev->transport->set_status(dev, dev->transport->status(dev) | bits);
}

/* --- Trouble -------------------------------------------------------------------------------- */

/* 2.4: the device is reset once its status reads 0. One that is gone does nothing either. */
static bool reset(struct virtio_device *dev)
{
    dev->transport->set_status(dev, 0);
    for (unsigned i = 0; i < RESET_TRIES; i++) {
        uint8_t status = dev->transport->status(dev);

        if (status == 0 || status == STATUS_GONE)
            return true;
    }
    return false;
}

void virtio_break(struct virtio_device *dev, const char *format, ...)
{
    bool unmask = pv_events_mask(), was_broken = dev->is_broken;
    char why[100];
    va_list args;

    dev->is_broken = true;
    pv_events_restore(unmask);
    if (was_broken)
        return;
    va_start(args, format);
    kvsnprintf(why, sizeof(why), format, args);
    va_end(args);
    dev->is_stopped = reset(dev);
    log_error("%s is broken: %s%s", dev->name, why,
              dev->is_stopped ? "" : "; it does not even stop");
    if (dev->driver->broken)
        dev->driver->broken(dev);
}

/* --- Configuration (2.5) -------------------------------------------------------------------- */

/* Accesses have the size of the field, or 4 bytes of one of 8 (4.2.2.2, 4.1.3.1). */
static int read_once(struct virtio_device *dev, unsigned offset, void *field, unsigned bytes)
{
    unsigned each = bytes == 2 || bytes == 4 ? bytes : bytes == 8 ? 4 : 1;

    for (unsigned at = 0; at < bytes; at += each) {
        uint32_t value;
        int error = dev->transport->config_read(dev, offset + at, each, &value);

        if (error)
            return error;
        memcpy((char *)field + at, &value, each);
    }
    return 0;
}

static bool is_atomic(unsigned bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4;
}

void virtio_config_read(struct virtio_device *dev, unsigned offset, void *field, unsigned bytes)
{
    uint32_t before = 0, after = 0;
    int error = dev->is_broken ? -EIO : 0;

    for (unsigned i = 0; i < CONFIG_TRIES && !error; i++) {
        if (!is_atomic(bytes))
            before = dev->transport->config_generation(dev);
        error = read_once(dev, offset, field, bytes);
        if (!is_atomic(bytes))
            after = dev->transport->config_generation(dev);
        if (!error && before == after)
            return;
    }
    memset(field, 0, bytes);
    if (error == -EINVAL)
        virtio_break(dev, "it has no configuration at %u", offset);
    else
        virtio_break(dev, "its configuration at %u does not hold still", offset);
}

void virtio_config_write(struct virtio_device *dev, unsigned offset, const void *field,
                         unsigned bytes)
{
    uint32_t value = 0;

    memcpy(&value, field, bytes);
    if (!dev->is_broken && dev->transport->config_write(dev, offset, bytes, value))
        virtio_break(dev, "it has no configuration at %u", offset);
}

/* --- Queues --------------------------------------------------------------------------------- */

int virtio_queue_create(struct virtio_device *dev, unsigned index,
                        const struct virtio_queue_options *options,
                        void (*used)(struct virtio_queue *queue))
{
    struct virtio_queue *q = &dev->queues[index];
    struct vq_options vq = {.entries = options->entries,
                            .tables = virtio_has(dev, F_INDIRECT_DESC) ? options->tables : 0,
                            .event_idx = virtio_has(dev, F_EVENT_IDX)};
    unsigned max = dev->transport->queue_max(dev, index);

    if (!max)
        return -ENODEV;
    while (vq.entries > max) /* a power of 2 whatever the device says */
        vq.entries /= 2;
    *q = (struct virtio_queue){.dev = dev, .index = (uint16_t)index, .used = used};
    int error = vq_create(&q->vq, &vq);
    if (error)
        return error;
    dev->nr_queues = index + 1;
    return 0;
}

int virtio_ready(struct virtio_device *dev)
{
    int error = dev->transport->bind(dev);

    dev->is_bound = !error;
    for (unsigned i = 0; i < dev->nr_queues && !error; i++)
        error = dev->transport->queue_enable(&dev->queues[i]);
    if (error)
        return error;
    add_status(dev, STATUS_DRIVER_OK);
    return 0;
}

bool virtio_kick(struct virtio_queue *q)
{
    if (!vq_publish(&q->vq) || q->dev->is_broken)
        return false;
    q->dev->transport->notify(q);
    return true;
}

int virtio_reap(struct virtio_queue *q, void **cookie, uint32_t *written)
{
    if (q->dev->is_broken)
        return -EIO;
    int error = vq_reap(&q->vq, cookie, written);
    if (error == -EIO)
        virtio_break(q->dev, "queue %u: bad %s %u", q->index, q->vq.lie, q->vq.lie_value);
    return error;
}

bool virtio_take_back(struct virtio_queue *q, void **cookie)
{
    return q->dev->is_stopped && vq_take_back(&q->vq, cookie);
}

/* --- Interrupts ----------------------------------------------------------------------------- */

void virtio_queue_used(struct virtio_queue *q)
{
    if (q->used && !q->dev->is_broken)
        q->used(q);
}

void virtio_queues_used(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->nr_queues; i++)
        if (vq_has_used(&dev->queues[i].vq))
            virtio_queue_used(&dev->queues[i]);
}

static void check_status(struct virtio_device *dev)
{
    if (dev->is_broken)
        return;
    uint8_t status = dev->transport->status(dev);

    /* A bus without it gives ones, or (QEMU's) zeroes. */
    if (status == STATUS_GONE || !(status & STATUS_ACKNOWLEDGE))
        virtio_break(dev, "it is gone (status 0x%x)", status);
    else if (status & STATUS_NEEDS_RESET) /* 2.1.2 */
        virtio_break(dev, "it says that it needs a reset");
}

void virtio_check(struct virtio_device *dev)
{
    check_status(dev);
    for (unsigned i = 0; i < dev->nr_queues && !dev->is_broken; i++)
        dev->transport->notify(&dev->queues[i]);
}

void virtio_config_changed(struct virtio_device *dev)
{
    check_status(dev);
    if (!dev->is_broken && dev->driver->config_changed)
        dev->driver->config_changed(dev);
}

/* --- Probe ---------------------------------------------------------------------------------- */

static const struct virtio_driver *driver_of(uint32_t device_id)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (drivers[i]->device_id == device_id)
            return drivers[i];
    return NULL;
}

/* 3.1.1, steps 1 to 6. */
static int negotiate(struct virtio_device *dev)
{
    const struct virtio_driver *driver = dev->driver;

    if (!reset(dev)) {
        log_error("%s does not reset", dev->name);
        return -EIO;
    }
    add_status(dev, STATUS_ACKNOWLEDGE);
    add_status(dev, STATUS_DRIVER);
    uint64_t offered = dev->transport->features(dev);
    if (!(offered >> F_VERSION_1 & 1)) {
        log_error("%s is a legacy device: virtio 1.0 or later is needed", dev->name);
        return -ENODEV;
    }
    dev->features = offered & (driver->features | FEATURES_OF_ALL);
    if (driver->choose)
        dev->features = driver->choose(dev, dev->features & driver->features) |
                        (dev->features & FEATURES_OF_ALL);
    dev->transport->set_features(dev, dev->features);
    add_status(dev, STATUS_FEATURES_OK);
    if (!(dev->transport->status(dev) & STATUS_FEATURES_OK)) {
        log_error("%s refuses features 0x%lx, of 0x%lx that it offers", dev->name, dev->features,
                  offered);
        return -ENODEV;
    }
    return 0;
}

static size_t align(size_t bytes)
{
    return (bytes + 15) & -16ul;
}

/* The region with all structs of the device: ours, the transport's, the driver's. */
static size_t region_bytes(const struct virtio_transport *transport,
                           const struct virtio_driver *driver)
{
    size_t bytes = align(sizeof(struct virtio_device)) + align(transport->bus_bytes) +
                   align(driver->state_bytes);

    return (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
}

static int create(const struct virtio_transport *transport, const struct virtio_driver *driver,
                  struct virtio_device **out)
{
    void *memory;
    int error =
        vm_map(&memory, region_bytes(transport, driver), VM_READ | VM_WRITE, "virtio device");

    if (error)
        return error;
    *out = memory;
    (*out)->transport = transport;
    (*out)->driver = driver;
    (*out)->bus = (char *)memory + align(sizeof(**out));
    (*out)->state = (char *)(*out)->bus + align(transport->bus_bytes);
    return 0;
}

/* Undoes whatever probe did. The memory of a device that does not stop is left to it. */
static void give_up(struct virtio_device *dev)
{
    if (!dev->is_broken)
        add_status(dev, STATUS_FAILED);
    bool is_stopped = reset(dev);
    if (dev->is_bound)
        dev->transport->unbind(dev);
    if (!is_stopped)
        return;
    for (unsigned i = 0; i < dev->nr_queues; i++)
        vq_destroy(&dev->queues[i].vq);
    vm_unmap(dev, region_bytes(dev->transport, dev->driver));
}

int virtio_found(const struct virtio_transport *transport, const void *bus, uint32_t device_id,
                 const char *place)
{
    const struct virtio_driver *driver = driver_of(device_id);
    struct virtio_device *dev;

    if (!driver) {
        log_warn("virtio device of type %u at %s %s: no driver", device_id, transport->name, place);
        return -ENODEV;
    }
    int error = create(transport, driver, &dev);
    if (error) {
        log_error("virtio-%s at %s %s: no memory for it", driver->name, transport->name, place);
        return error;
    }
    ksnprintf(dev->name, sizeof(dev->name), "virtio-%s at %s %s", driver->name, transport->name,
              place);
    memcpy(dev->bus, bus, transport->bus_bytes);
    error = negotiate(dev);
    if (!error)
        error = driver->probe(dev);
    if (!error) { /* others know of it now, even if it broke meanwhile */
        log_info("%s: features 0x%lx", dev->name, dev->features);
        return 0;
    }
    log_error("%s is not used: error %d", dev->name, -error);
    give_up(dev);
    return error;
}

void virtio_init(void)
{
    virtio_mmio_scan();
    virtio_pci_scan();
}
