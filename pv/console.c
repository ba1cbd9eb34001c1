/*
 * The hypervisor's console (xen.h, console_io).
 *
 * Callers: anything, anywhere, a panic included. Ring 3. Locks: none; one write is one hypercall.
 */
#include "pv/shared.h"

void pv_console_write(const char *text, size_t bytes)
{
    if (bytes)
        hypervisor_console_io(CONSOLEIO_write, bytes, text);
}

int pv_console_read(char *buffer, size_t bytes)
{
    return pv_errno(hypervisor_console_io(CONSOLEIO_read, bytes, buffer));
}
