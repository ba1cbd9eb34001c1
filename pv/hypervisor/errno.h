/* Xen's error codes (xen/errno.h) by their usual names. */
#ifndef HYPERVISOR_ERRNO_H
#define HYPERVISOR_ERRNO_H

#define XEN_ERRNO(name, value) name = value,
enum {
#include <stdint.h>
#include <xen/errno.h>
    ERESTART = 85, /* Xen's own, which no guest sees: begin again in the next slice */
};

#endif
