/*
 * I/O ports (private to pv/ and drivers): the only place in a guest with port instructions, which
 * tools/check/privileged refuses elsewhere. In ring 3 they work once the hypervisor allows it
 * (xen/physdev.h, PHYSDEVOP_set_iopl), which it does for the initial domain.
 */
#ifndef PV_PORT_H
#define PV_PORT_H

#include <stdint.h>

enum pv_port_op {
    PV_PORT_IN8,
    PV_PORT_IN16,
    PV_PORT_IN32,
    PV_PORT_OUT8,
    PV_PORT_OUT16,
    PV_PORT_OUT32
};

/* Asks for access to ports on this vCPU. -EPERM or -ENOSYS: not for this domain. */
int pv_port_enable(void);

/* One access; the value read, or 0. Without access it ends in a general protection fault. */
uint32_t pv_port_access(enum pv_port_op op, uint16_t port, uint32_t value);

#endif
