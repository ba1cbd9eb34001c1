/*
 * errno by its older name, which newlib's glob calls.
 */
#include <errno.h>

int *__errno(void);

int *__errno(void)
{
    return &errno;
}
