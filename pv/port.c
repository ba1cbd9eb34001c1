/*
 * I/O ports: the only place in a guest with port instructions, which tools/check/privileged refuses
 * elsewhere. In ring 3 they work once the hypervisor allows it (xen/physdev.h,
 * PHYSDEVOP_set_iopl), which it does for the initial domain.
 *
 * Callers: pv/report.c, kernel/pci.c, drivers. Ring 3. Locks: none.
 */
#include "pv/hypercall.h"
#include "pv/pv.h"

int pv_port_enable(void)
{
    struct physdev_set_iopl set = {.iopl = 1}; /* the guest kernel's level, as Xen counts */

    return pv_errno(hypervisor_physdev_op(PHYSDEVOP_set_iopl, &set));
}

/* All port instructions in one function, with the name that the check knows. */
__attribute__((noinline)) static uint32_t pv_port_access(uint16_t port, unsigned bytes, bool write,
                                                         uint32_t value)
{
    if (write && bytes == 1)
        asm volatile("outb %b0, %1" ::"a"(value), "Nd"(port));
    else if (write && bytes == 2)
        asm volatile("outw %w0, %1" ::"a"(value), "Nd"(port));
    else if (write)
        asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
    else if (bytes == 1)
        asm volatile("inb %1, %b0" : "+a"(value) : "Nd"(port));
    else if (bytes == 2)
        asm volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
    else
        asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

uint32_t pv_port_read(uint16_t port, unsigned bytes)
{
    return pv_port_access(port, bytes, false, 0);
}

void pv_port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    pv_port_access(port, bytes, true, value);
}
