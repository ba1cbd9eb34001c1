/*
 * The device that reaches a folder of the host's.
 *
 * Callers: a driver at boot, then libc-glue. Ring 3. Locks: none; nothing changes after the boot.
 */
#include "kernel/p9.h"

static struct p9_device *first;

void p9_register(struct p9_device *device)
{
    if (!first)
        first = device;
}

struct p9_device *p9_device(void)
{
    return first;
}
