/*
 * See entropy.h. The source is set at boot, in one thread.
 */
#include "kernel/entropy.h"

#include <errno.h>

static struct entropy_source *first;

void entropy_register(struct entropy_source *source)
{
    if (!first)
        first = source;
}

int entropy_read(void *buffer, size_t bytes)
{
    return first ? first->read(first, buffer, bytes) : -ENODEV;
}
