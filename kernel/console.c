/*
 * The application's console: output straight to the hypervisor (or its tool stack) and input by its
 * event, or a device.
 *
 * Callers: see kernel/console.h. Ring 3. Locks: a device has its own for output; input_lock
 * protects everything about input. `device` does not change after boot.
 */
#include "kernel/console.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/sync.h"
#include "pv/pv.h"

#define END_OF_INPUT 4 /* ^D */

static struct mutex input_lock = MUTEX_INIT;
static char input[64]; /* taken from the hypervisor, not read yet */
static int input_first, input_count;
static bool bound, ended;

static struct console_device *attached, *device; /* the one there is, and the one in use */

void console_attach(struct console_device *found)
{
    if (!attached)
        attached = found;
}

void console_init(void)
{
    const char *wanted = cmdline_get("console");

    if (!wanted)
        return;
    if (strcmp(wanted, "virtio") != 0)
        log_warn("console=%s: there is only console=virtio; the hypervisor's is used", wanted);
    else if (!attached)
        log_warn("console=virtio: there is no such device; the hypervisor's is used");
    else
        device = attached;
}

void console_write(const char *text, size_t bytes)
{
    size_t done = device ? device->write(device, text, bytes) : 0;

    pv_console_write(text + done, bytes - done); /* rather there than nowhere */
}

static void input_event(void *unused)
{
    (void)unused;
    console_input_came();
}

static int up_to_end(const char *buffer, int count)
{
    for (int i = 0; i < count; i++) {
        if (buffer[i] == END_OF_INPUT) {
            ended = true;
            return i;
        }
    }
    return count;
}

/* Under input_lock. 0, or why there is no input to read and never will be. */
static int refill(void)
{
    event_port_t port;

    if (input_count || ended)
        return 0;
    if (!bound && !device) {
        bound = true;
        if (pv_console_bind(input_event, NULL, &port)) {
            ended = true; /* no console input for this domain: end of input */
            return 0;
        }
    }
    int count =
        device ? device->read(device, input, sizeof(input)) : pv_console_read(input, sizeof(input));
    if (count < 0)
        return count;
    input_first = 0;
    input_count = up_to_end(input, count);
    return 0;
}

int console_read(char *buffer, size_t bytes)
{
    mutex_lock(&input_lock);
    int result = refill();
    if (!result && input_count) {
        result = bytes < (size_t)input_count ? (int)bytes : input_count;
        memcpy(buffer, input + input_first, (size_t)result);
        input_first += result;
        input_count -= result;
    } else if (!result && !ended) {
        result = -EAGAIN;
    }
    mutex_unlock(&input_lock);
    return result;
}

bool console_has_input(void)
{
    mutex_lock(&input_lock);
    bool has = refill() || input_count || ended;
    mutex_unlock(&input_lock);
    return has;
}
