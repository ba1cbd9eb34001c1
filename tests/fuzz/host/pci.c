/*
 * PCI functions that lie (kernel/pci.c), and virtio devices among them (kernel/virtio/pci.c): the
 * input is the configuration space of one function behind a host bridge, what its BARs decode, and
 * its memory.
 */
#include <errno.h>

#include "kernel/netdev.h"
#include "kernel/pci.h"
#include "kernel/virtio/transport.h"
#include "tests/fuzz/host/fuzz.h"
#include "tests/fuzz/host/machine.h"

#define CONFIG_BYTES 256
#define BAR0 0x10
#define DEVFN 8

static struct fuzz_input *in;
static uint8_t config[CONFIG_BYTES];
static uint32_t bar_masks[PCI_BARS], address;
static event_port_t nr_ports, line_port;
static struct virtio_device *line_user; /* of a line, which kernel/pci.c notes */

/* --- Ports: mechanism #1 ------------------------------------------------------------------------
 */

int pv_port_enable(void)
{
    return 0;
}

/* What is read at this function and offset: the function, the host bridge, or nothing. */
static uint32_t config_word(unsigned offset)
{
    uint32_t value = UINT32_MAX;

    if ((address >> 8 & 0xffff) == DEVFN)
        memcpy(&value, config + offset, sizeof(value));
    else if ((address >> 8 & 0xffff) == 0)
        value = offset == 0 ? 0x12378086 : offset == 8 ? 0x06000000 : 0;
    return value;
}

uint32_t pv_port_read(uint16_t port, unsigned bytes)
{
    if (port == 0xcf8)
        return address;
    FUZZ_CHECK(port >= 0xcfc && port - 0xcfcu + bytes <= 4 && address >> 31);

    uint32_t value = config_word(address & 0xfc) >> 8 * (port - 0xcfc);

    return bytes == 4 ? value : value & ((1u << 8 * bytes) - 1);
}

void pv_port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    unsigned offset = (address & 0xfc) + port - 0xcfcu, bar = (offset - BAR0) / 4;

    if (port == 0xcf8) {
        address = value;
        return;
    }
    FUZZ_CHECK(port >= 0xcfc && port - 0xcfcu + bytes <= 4 && address >> 31);
    if ((address >> 8 & 0xffff) != DEVFN)
        return;
    if (offset >= BAR0 && bar < PCI_BARS && value == UINT32_MAX)
        value = bar_masks[bar];
    memcpy(config + offset, &value, bytes);
}

/* --- Interrupts
 * ----------------------------------------------------------------------------------- */

static int bind_one(event_port_t *port)
{
    *port = ++nr_ports;
    return fuzz_u8(in) == 0xff ? -ENOSPC : 0;
}

int pv_irq_bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port)
{
    int error = bind_one(port);

    (void)gsi, (void)trigger, (void)fn;
    if (!error) {
        line_user = arg;
        line_port = *port;
    }
    return error;
}

int pv_irq_bind_msix(uint16_t segment, uint8_t bus, uint8_t devfn, maddr_t bar, unsigned entry,
                     event_handler_t *fn, void *arg, event_port_t *port)
{
    (void)segment, (void)bus, (void)bar, (void)fn, (void)arg;
    FUZZ_CHECK(devfn == DEVFN && entry < 2048);
    return bind_one(port);
}

int pv_irq_unbind(event_port_t port)
{
    FUZZ_CHECK(port > 0 && port <= nr_ports);
    if (port == line_port)
        line_user = NULL;
    return 0;
}

void pv_irq_done(event_port_t port)
{
    (void)port;
}

void netdev_register(struct netdev *dev)
{
    dev->ops->poll(dev, 1);
}

/* --- The input
 * ------------------------------------------------------------------------------------- */

static int visit(const struct pci_function *f, void *unused)
{
    struct pci_bar bar;

    (void)unused;
    for (unsigned i = 0; i <= PCI_BARS; i++)
        if (pci_bar(f, i, &bar) == 0)
            FUZZ_CHECK(bar.bytes && (bar.bytes & (bar.bytes - 1)) == 0 &&
                       bar.start.n % bar.bytes == 0);
    for (unsigned id = 0; id < 32; id++)
        for (unsigned nth = 0; nth < 64; nth++) {
            unsigned at = pci_capability(f, (uint8_t)id, nth);

            FUZZ_CHECK(at == 0 || (at >= 0x40 && at < CONFIG_BYTES && at % 4 == 0));
            if (!at)
                break;
        }
    FUZZ_CHECK(pci_msix_entries(f) <= 2048);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};

    in = machine_device_memory = &input;
    nr_ports = line_port = 0;
    line_user = NULL;
    fuzz_take(in, config, sizeof(config));
    fuzz_take(in, bar_masks, sizeof(bar_masks));
    pci_scan(visit, NULL);
    virtio_pci_scan();
    if (line_user)
        line_user->transport->unbind(line_user);
    machine_free();
    return 0;
}
