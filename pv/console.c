/*
 * The console: the hypervisor's (xen.h, console_io) for the initial domain, the ring to xenconsoled
 * for another.
 *
 * Callers: anything, anywhere, a panic included. Ring 3. Locks: none; a write of
 * moderate length is one hypercall.
 */
#include "pv/domu.h"

#define WRITE_BYTES 16384 /* in one hypercall: it is not interrupted */

void pv_console_write(const char *text, size_t bytes)
{
    if (pv_console_ring_present())
        pv_console_ring_write(text, bytes);
    else
        for (size_t done = 0, n; done < bytes; done += n) {
            n = bytes - done < WRITE_BYTES ? bytes - done : WRITE_BYTES;
            hypervisor_console_io(CONSOLEIO_write, n, text + done);
        }
}

int pv_console_read(char *buffer, size_t bytes)
{
    if (pv_console_ring_present())
        return pv_console_ring_read(buffer, bytes);
    return pv_errno(hypervisor_console_io(CONSOLEIO_read, bytes, buffer));
}

int pv_console_bind(event_handler_t *fn, void *arg, event_port_t *port)
{
    if (pv_console_ring_present())
        return pv_event_bind_port(pv_console_ring_port(), fn, arg, port);
    return pv_event_bind_virq(PV_VIRQ_CONSOLE, fn, arg, port);
}
