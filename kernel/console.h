/*
 * The application's console: the hypervisor's, or with console=virtio a virtio device. The log and
 * panics go to the hypervisor's in any case (pv_console_write), which always works.
 *
 * Callers: threads. console_write sleeps where a device takes its time; the others do not.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* What a driver offers. One caller at a time of each. */
struct console_device {
    /* All of it is out when this returns; how much was, before the device broke. Sleeps. */
    size_t (*write)(struct console_device *device, const char *text, size_t bytes);
    /* Bytes read, 0 if none wait (console_input_came tells of more), or -EIO. */
    int (*read)(struct console_device *device, char *buffer, size_t bytes);
};
/* Driver, at boot. The first one counts. */
void console_attach(struct console_device *device);

/* After the devices were found: which console it is. */
void console_init(void);

void console_write(const char *text, size_t bytes);

/* Bytes read (1..bytes), 0 at end of input (from the first ^D on, or where this domain has no
 * console input), -EAGAIN if there is none now, or another -errno. */
int console_read(char *buffer, size_t bytes);

/* Whether console_read has an answer other than -EAGAIN. */
bool console_has_input(void);

/* Supplied by libc-glue. Event context: there may be input where there was none. */
void console_input_came(void);

#endif
