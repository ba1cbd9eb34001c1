/*
 * The console: the hypervisor's (xen.h, console_io) for the initial domain, the ring to xenconsoled
 * for another.
 *
 * Callers: anything, anywhere, a panic included. Ring 3. Locks: none; to the hypervisor one write
 * is one hypercall.
 */
#include "pv/domu.h"

void pv_console_write(const char *text, size_t bytes)
{
    if (pv_console_ring_present())
        pv_console_ring_write(text, bytes);
    else if (bytes)
        hypervisor_console_io(CONSOLEIO_write, bytes, text);
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
