/*
 * Virtio over MMIO, version 2 (virtio 1.2, section 4.2): devices that the command line names, as
 * QEMU's microvm and Firecracker do: virtio_mmio.device=SIZE@ADDRESS:GSI[:ID].
 *
 * Callers: virtio.c. Ring 3. Locks: none. Every register access may be an exit to the device model,
 * tens of microseconds on some hosts: they are few.
 */
#include <errno.h>
#include <stdbool.h>

#include "kernel/cmdline.h"
#include "kernel/format.h"
#include "kernel/log.h"
#include "kernel/virtio/transport.h"
#include "kernel/vm.h"

enum { /* 4.2.2 */
       MAGIC = 0x000,
       VERSION = 0x004,
       DEVICE_ID = 0x008,
       DEVICE_FEATURES = 0x010,
       DEVICE_FEATURES_SELECT = 0x014,
       DRIVER_FEATURES = 0x020,
       DRIVER_FEATURES_SELECT = 0x024,
       QUEUE_SELECT = 0x030,
       QUEUE_MAX = 0x034,
       QUEUE_ENTRIES = 0x038,
       QUEUE_READY = 0x044,
       QUEUE_NOTIFY = 0x050,
       INTERRUPT_STATUS = 0x060,
       INTERRUPT_ACK = 0x064,
       STATUS = 0x070,
       QUEUE_DESCRIPTORS = 0x080,
       QUEUE_AVAILABLE = 0x090,
       QUEUE_USED = 0x0a0,
       CONFIG_GENERATION = 0x0fc,
       CONFIG = 0x100,
};
#define MAGIC_VALUE 0x74726976u /* "virt" */
#define VERSION_LEGACY 1
#define VERSION_MODERN 2
#define INTERRUPT_USED 1
#define INTERRUPT_CONFIG 2
#define INTERRUPT_TRIES 100 /* an honest device has no new cause so often before we look */

struct mmio {
    volatile char *registers;
    size_t bytes;
    unsigned gsi;
    event_port_t port;
};

static struct mmio *mmio_of(struct virtio_device *dev)
{
    return dev->bus;
}

static uint32_t get(const struct mmio *m, unsigned offset)
{
    return *(volatile uint32_t *)(m->registers + offset);
}

static void set(const struct mmio *m, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(m->registers + offset) = value;
}

static uint8_t status(struct virtio_device *dev)
{
    return (uint8_t)get(mmio_of(dev), STATUS);
}

static void set_status(struct virtio_device *dev, uint8_t value)
{
    set(mmio_of(dev), STATUS, value);
}

static uint64_t features(struct virtio_device *dev)
{
    uint64_t value;

    set(mmio_of(dev), DEVICE_FEATURES_SELECT, 1);
    value = (uint64_t)get(mmio_of(dev), DEVICE_FEATURES) << 32;
    set(mmio_of(dev), DEVICE_FEATURES_SELECT, 0);
    return value | get(mmio_of(dev), DEVICE_FEATURES);
}

static void set_features(struct virtio_device *dev, uint64_t value)
{
    set(mmio_of(dev), DRIVER_FEATURES_SELECT, 1);
    set(mmio_of(dev), DRIVER_FEATURES, (uint32_t)(value >> 32));
    set(mmio_of(dev), DRIVER_FEATURES_SELECT, 0);
    set(mmio_of(dev), DRIVER_FEATURES, (uint32_t)value);
}

/* --- Configuration -------------------------------------------------------------------------- */

static int config_read(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t *value)
{
    const struct mmio *m = mmio_of(dev);
    volatile char *at = m->registers + CONFIG + offset;

    if (CONFIG + offset + bytes > m->bytes)
        return -EINVAL;
    *value = bytes == 1   ? *(volatile uint8_t *)at
             : bytes == 2 ? *(volatile uint16_t *)at
                          : *(volatile uint32_t *)at;
    return 0;
}

static int config_write(struct virtio_device *dev, unsigned offset, unsigned bytes, uint32_t value)
{
    const struct mmio *m = mmio_of(dev);
    volatile char *at = m->registers + CONFIG + offset;

    if (CONFIG + offset + bytes > m->bytes)
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
    return get(mmio_of(dev), CONFIG_GENERATION);
}

/* --- Queues (4.2.3.2) ----------------------------------------------------------------------- */

static unsigned queue_max(struct virtio_device *dev, unsigned index)
{
    set(mmio_of(dev), QUEUE_SELECT, index);
    return get(mmio_of(dev), QUEUE_READY) ? 0 : get(mmio_of(dev), QUEUE_MAX);
}

static void set_address(const struct mmio *m, unsigned offset, maddr_t address)
{
    set(m, offset, (uint32_t)address.n);
    set(m, offset + 4, (uint32_t)(address.n >> 32));
}

static int queue_enable(struct virtio_queue *q)
{
    const struct mmio *m = mmio_of(q->dev);

    set(m, QUEUE_SELECT, q->index);
    set(m, QUEUE_ENTRIES, q->vq.entries);
    set_address(m, QUEUE_DESCRIPTORS, q->vq.descriptors_at);
    set_address(m, QUEUE_AVAILABLE, q->vq.available_at);
    set_address(m, QUEUE_USED, q->vq.used_at);
    set(m, QUEUE_READY, 1);
    return 0;
}

static void notify(struct virtio_queue *q)
{
    set(mmio_of(q->dev), QUEUE_NOTIFY, q->index);
}

/* --- Interrupts (4.2.3.4) ------------------------------------------------------------------- */

/*
 * The line is bound edge-triggered: Firecracker pulses it, QEMU holds it as long as the status is
 * not 0. So we acknowledge until the status reads 0; from then on any cause makes an edge. Used
 * buffers, which it nearly always is, are acknowledged before the status is read at all: one read
 * and one write in the common case.
 */
static void interrupt(void *arg)
{
    struct virtio_device *dev = arg;
    const struct mmio *m = mmio_of(dev);
    uint32_t causes, all = 0;
    unsigned tries = 0;

    set(m, INTERRUPT_ACK, INTERRUPT_USED);
    while ((causes = get(m, INTERRUPT_STATUS)) != 0 && tries++ < INTERRUPT_TRIES) {
        set(m, INTERRUPT_ACK, causes & (INTERRUPT_USED | INTERRUPT_CONFIG));
        all |= causes;
    }
    pv_irq_done(m->port);
    if (causes)
        virtio_break(dev, "its interrupt status stays 0x%x", causes);
    if (all & INTERRUPT_CONFIG)
        virtio_config_changed(dev);
    virtio_queues_used(dev);
}

static int bind(struct virtio_device *dev)
{
    struct mmio *m = mmio_of(dev);

    return pv_irq_bind_gsi(m->gsi, PV_IRQ_EDGE, interrupt, dev, &m->port);
}

static void unbind(struct virtio_device *dev)
{
    pv_irq_unbind(mmio_of(dev)->port);
}

/* --- Discovery ------------------------------------------------------------------------------ */

static const struct virtio_transport transport = {
    .name = "mmio",
    .bus_bytes = sizeof(struct mmio),
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

/* A number, decimal or 0x..., at *at; moves *at behind it. */
static bool take_number(const char **at, uint64_t *out)
{
    const char *start = *at;
    unsigned base = 10;

    if (start[0] == '0' && (start[1] | 0x20) == 'x') {
        base = 16;
        start += 2;
    }
    *at = start;
    for (*out = 0; *out <= UINT64_MAX / 32; (*at)++) {
        char c = **at, letter = (char)(c | 0x20);

        if (c >= '0' && c <= '9')
            *out = *out * base + (uint64_t)(c - '0');
        else if (base == 16 && letter >= 'a' && letter <= 'f')
            *out = *out * base + (uint64_t)(letter - 'a' + 10);
        else
            return *at != start;
    }
    return false;
}

/* SIZE[K]@ADDRESS:GSI[:ID], as Linux takes it (admin-guide/kernel-parameters). */
static bool parse(const char *text, uint64_t *bytes, uint64_t *address, uint64_t *gsi)
{
    uint64_t id;

    if (!take_number(&text, bytes))
        return false;
    if ((*text | 0x20) == 'k') {
        *bytes *= 1024;
        text++;
    }
    if (*text++ != '@' || !take_number(&text, address) || *text++ != ':' ||
        !take_number(&text, gsi) || *gsi > UINT32_MAX)
        return false;
    if (*text == ':' && (text++, !take_number(&text, &id)))
        return false;
    return !*text && *bytes >= CONFIG && *bytes <= PAGE_SIZE * 16 && *address % 4 == 0;
}

/* 4.2.3.1.1: what the registers must say. Sets *device_id, 0 where no device is plugged. */
static bool is_usable(const struct mmio *m, const char *place, uint32_t *device_id)
{
    uint32_t magic = get(m, MAGIC), version = get(m, VERSION);

    if (magic != MAGIC_VALUE) {
        log_error("virtio mmio device %s: it has the magic 0x%x instead of 0x%x", place, magic,
                  MAGIC_VALUE);
        return false;
    }
    *device_id = get(m, DEVICE_ID);
    if (version == VERSION_LEGACY && *device_id) {
        log_error("virtio mmio device %s: a legacy device (version 1), version 2 is needed (QEMU: "
                  "-global virtio-mmio.force-legacy=false)",
                  place);
        return false;
    }
    if (version != VERSION_MODERN && *device_id) {
        log_error("virtio mmio device %s: version %u, only 2 is known", place, version);
        return false;
    }
    return *device_id != 0; /* 4.2.3.1.1: a placeholder is ignored */
}

static void scan_one(const char *text)
{
    uint64_t bytes, address, gsi;
    volatile void *registers;
    uint32_t device_id;
    char place[24];

    if (!parse(text, &bytes, &address, &gsi)) {
        log_error("virtio_mmio.device=%s: not of the form SIZE@ADDRESS:GSI[:ID]", text);
        return;
    }
    ksnprintf(place, sizeof(place), "0x%lx", address);
    int error = vm_map_device((maddr_t){address}, bytes, "virtio mmio", &registers);
    if (error) {
        log_error("virtio mmio device %s: its registers cannot be mapped: error %d", place, -error);
        return;
    }
    struct mmio m = {.registers = registers, .bytes = bytes, .gsi = (unsigned)gsi};
    if (is_usable(&m, place, &device_id) && virtio_found(&transport, &m, device_id, place) == 0)
        return;
    uintptr_t start = (uintptr_t)registers & -PAGE_SIZE;
    uintptr_t end = ((uintptr_t)registers + bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
    vm_unmap((void *)start, end - start);
}

void virtio_mmio_scan(void)
{
    const char *text;

    for (unsigned n = 0; (text = cmdline_virtio_mmio(n)); n++)
        scan_one(text);
}
