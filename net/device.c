/* Network devices: to come. */
#include "net/device.h"

#include <stddef.h>

int net_device_init(void)
{
    return 0;
}

unsigned net_device_poll(void)
{
    return 0;
}

void net_device_flush(void) {}

bool net_device_has_output(void)
{
    return false;
}

bool net_device_listen(void)
{
    return true;
}
