/*
 * Drivers above devices that lie, or that are gone (fake_device.h): the device is broken and used
 * no more, whoever waits for it goes on. Network devices have tests/host/netdev.py for this,
 * balloons tests/guest/balloon.c.
 */
#include <errno.h>
#include <string.h>

#include "kernel/console.h"
#include "kernel/entropy.h"
#include "kernel/thread.h"
#include "tests/guest/fake_device.h"
#include "tests/guest/test.h"

/* --- Console ---------------------------------------------------------------------------------- */

enum { RECEIVE = 0, TRANSMIT = 1 };

/* How the device answers to output, in the order of its writes. */
enum manner { HONEST, BAD_ID, TWICE, JUMP, GONE };
static enum manner manner;

static void transmit(struct fake_device *f, struct virtio_queue *q)
{
    uint64_t address;
    uint32_t bytes;
    int head;

    while (q->index == TRANSMIT && manner != GONE &&
           (head = fake_device_take(f, q, &address, &bytes)) >= 0) {
        if (manner == JUMP)
            fake_device_jump(q, 1000);
        else
            fake_device_use(q, manner == BAD_ID ? 12345 : (uint32_t)head, 0);
        if (manner == TWICE)
            fake_device_use(q, (uint32_t)head, 0);
        fake_device_interrupt(q);
    }
    if (manner == GONE)
        f->status = 0xff;
}

static struct console_device *plug_console(struct fake_device *f)
{
    *f = (struct fake_device){.device_id = VIRTIO_ID_CONSOLE, .nr_queues = 2, .notified = transmit};
    manner = HONEST;
    return CHECK_OK(fake_device_plug(f)) ? f->dev->state : NULL;
}

TEST(virtio_console_lies_output, "A console that lies about output, or is gone, is used no more.")
{
    static struct fake_device f[4];
    enum manner manners[] = {BAD_ID, TWICE, JUMP, GONE};

    for (unsigned i = 0; i < sizeof(manners) / sizeof(manners[0]) && !test_has_failed(); i++) {
        struct console_device *console = plug_console(&f[i]);

        REQUIRE(console);
        for (unsigned k = 0; k < 200; k++)
            CHECK_EQ(console->write(console, "text", 4), 4);
        manner = manners[i];
        CHECK_EQ(console->write(console, "text", 4), 0);
        CHECK(f[i].dev->is_broken);
        CHECK_EQ(console->write(console, "text", 4), 0);
    }
}

TEST(virtio_console_lies_input, "A console that lies about input is used no more.")
{
    static struct fake_device f[5];
    char text[64];

    for (unsigned i = 0; i < 5 && !test_has_failed(); i++) {
        struct console_device *console = plug_console(&f[i]);
        struct virtio_queue *q = &f[i].dev->queues[RECEIVE];
        uint64_t address;
        uint32_t bytes;

        REQUIRE(console);
        CHECK_EQ(console->read(console, text, sizeof(text)), 0);
        for (unsigned k = 0; k < 100; k++) { /* also buffers without any bytes */
            int head = fake_device_take(&f[i], q, &address, &bytes);
            REQUIRE(head >= 0 && bytes > 0);
            fake_device_use(q, (uint32_t)head, k % 3);
            fake_device_interrupt(q);
            CHECK_EQ(console->read(console, text, sizeof(text)), k % 3);
        }
        int head = fake_device_take(&f[i], q, &address, &bytes);
        switch (i) {
        case 0:
            fake_device_use(q, 12345, 1);
            break;
        case 1:
            fake_device_use(q, (uint32_t)head, 100000);
            break;
        case 2:
            fake_device_jump(q, 1000);
            break;
        case 3:
            f[i].status |= 64; /* DEVICE_NEEDS_RESET, 2.1 */
            fake_device_config_changed(&f[i]);
            break;
        case 4:
            f[i].status = 0xff;
            fake_device_config_changed(&f[i]);
            break;
        }
        fake_device_interrupt(q);
        CHECK_EQ(console->read(console, text, sizeof(text)), -EIO);
        CHECK(f[i].dev->is_broken);
        CHECK_EQ(console->read(console, text, sizeof(text)), -EIO);
        CHECK_EQ(console->write(console, "text", 4), 0);
    }
}

/* --- Entropy ---------------------------------------------------------------------------------- */

static uint32_t random_bytes;

static void fill(struct fake_device *f, struct virtio_queue *q)
{
    uint64_t address;
    uint32_t bytes;
    int head = fake_device_take(f, q, &address, &bytes);

    if (head < 0)
        return;
    fake_device_use(q, (uint32_t)head, random_bytes);
    fake_device_interrupt(q);
}

TEST(virtio_rng_lies, "An entropy device that gives no bytes, or too many, is used no more.")
{
    static struct fake_device f[2];
    char buffer[100];

    for (unsigned i = 0; i < 2; i++) {
        f[i] = (struct fake_device){.device_id = VIRTIO_ID_RNG, .nr_queues = 1, .notified = fill};
        random_bytes = 7;
        REQUIRE_OK(fake_device_plug(&f[i]));
        struct entropy_source *source = f[i].dev->state;
        CHECK_OK(source->read(source, buffer, sizeof(buffer)));
        random_bytes = i ? 100000 : 0;
        CHECK_EQ(source->read(source, buffer, sizeof(buffer)), -EIO);
        CHECK(f[i].dev->is_broken);
        CHECK_EQ(source->read(source, buffer, sizeof(buffer)), -EIO);
    }
}
