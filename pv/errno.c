/*
 * Xen's error numbers (Linux's, xen/errno.h) to newlib's, which differ above 34.
 *
 * Called by all of pv/, anywhere. Locks: none.
 */
#include "pv/hypercall.h"

#include <errno.h>

#define SAME_NUMBERS 34 /* up to here both follow Unix V7 */

int pv_errno(long result)
{
    static const struct {
        uint8_t xen, newlib;
    } numbers[] = {
        {38, ENOSYS},     {61, ENODATA},    {62, ETIMEDOUT}, {75, EOVERFLOW},
        {95, EOPNOTSUPP}, {98, EADDRINUSE}, {107, ENOTCONN}, {110, ETIMEDOUT},
    };

    if (result >= -SAME_NUMBERS)
        return (int)result;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (-result == numbers[i].xen)
            return -numbers[i].newlib;
    }
    return -EIO;
}
