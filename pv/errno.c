/*
 * Xen's error numbers (Linux's, xen/errno.h) to newlib's, which differ above 34.
 *
 * Called by all of pv/, anywhere. Locks: none.
 */
#include "pv/hypercall.h"

#include <errno.h>

/* xen/errno.h, where it departs from newlib. */
enum {
    XEN_NUMBER_ENOSYS = 38,
    XEN_NUMBER_ENODATA = 61,
    XEN_NUMBER_ETIME = 62,
    XEN_NUMBER_EOVERFLOW = 75,
    XEN_NUMBER_EOPNOTSUPP = 95,
    XEN_NUMBER_EADDRINUSE = 98,
    XEN_NUMBER_ENOTCONN = 107,
    XEN_NUMBER_ETIMEDOUT = 110,
};

int pv_errno(long result)
{
    if (result >= 0)
        return (int)result;
    if (result >= -34)
        return (int)result; /* the same numbers since Unix V7 */
    switch (-result) {
    case XEN_NUMBER_ENOSYS:
        return -ENOSYS;
    case XEN_NUMBER_ENODATA:
        return -ENODATA;
    case XEN_NUMBER_ETIME:
    case XEN_NUMBER_ETIMEDOUT:
        return -ETIMEDOUT;
    case XEN_NUMBER_EOVERFLOW:
        return -EOVERFLOW;
    case XEN_NUMBER_EOPNOTSUPP:
        return -EOPNOTSUPP;
    case XEN_NUMBER_EADDRINUSE:
        return -EADDRINUSE;
    case XEN_NUMBER_ENOTCONN:
        return -ENOTCONN;
    default:
        return -EIO;
    }
}
