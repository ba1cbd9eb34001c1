/*
 * Virtio devices by MMIO that lie (kernel/virtio/mmio.c): the input is where a second one is, as
 * text, then the registers of both, as they read; what is written to them stays there.
 */
#include <errno.h>

#include "kernel/cmdline.h"
#include "kernel/netdev.h"
#include "kernel/virtio/transport.h"
#include "tests/fuzz/host/fuzz.h"
#include "tests/fuzz/host/machine.h"

#define TEXT_BYTES 32

static struct fuzz_input *in;
static char text[TEXT_BYTES + 1];

/* One as it should be, and one as the input says. */
const char *cmdline_virtio_mmio(unsigned n)
{
    return n == 0 ? "512@0xfeb00e00:12" : n == 1 ? text : NULL;
}

int pv_irq_bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port)
{
    (void)trigger, (void)fn, (void)arg;
    *port = gsi;
    return fuzz_u8(in) == 0xff ? -ENOSPC : 0;
}

int pv_irq_unbind(event_port_t port)
{
    (void)port;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};

    in = machine_device_memory = &input;
    fuzz_take(in, text, TEXT_BYTES);
    virtio_mmio_scan();
    machine_free();
    return 0;
}
