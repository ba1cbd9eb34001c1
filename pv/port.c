/*
 * I/O ports. Callers: pv/report.c, drivers. Ring 3. Locks: none.
 */
#include "pv/port.h"

#include <xen/physdev.h>

#include "pv/hypercall.h"

int pv_port_enable(void)
{
    struct physdev_set_iopl set = {.iopl = 1}; /* the guest kernel's level, as Xen counts */

    return pv_errno(hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &set));
}

__attribute__((noinline)) uint32_t pv_port_access(enum pv_port_op op, uint16_t port, uint32_t value)
{
    uint8_t byte = 0;
    uint16_t word = 0;

    switch (op) {
    case PV_PORT_IN8:
        asm volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
        return byte;
    case PV_PORT_IN16:
        asm volatile("inw %1, %0" : "=a"(word) : "Nd"(port));
        return word;
    case PV_PORT_IN32:
        asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
        return value;
    case PV_PORT_OUT8:
        asm volatile("outb %b0, %1" ::"a"(value), "Nd"(port));
        break;
    case PV_PORT_OUT16:
        asm volatile("outw %w0, %1" ::"a"(value), "Nd"(port));
        break;
    case PV_PORT_OUT32:
        asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
        break;
    }
    return 0;
}
