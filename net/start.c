/*
 * net_start: the story of the network's beginning.
 */
#include <lwip/init.h>
#include <lwip/netif.h>

#include "net/core.h"
#include "net/device.h"
#include "net/interface.h"
#include "net/memory.h"
#include "net/net.h"
#include "net/random.h"

int net_start(void)
{
    net_lock();
    net_memory_init();                      /* how much the stack may use */
    net_random_init();                      /* sequence numbers, ports */
    lwip_init();                            /* and the loopback interface */
    NETIF_SET_CHECKSUM_CTRL(netif_list, 0); /* nothing falsifies what never leaves */
    int error = net_device_init();
    if (!error)
        error = net_thread_start(); /* runs when this thread gives up the lock */
    if (!error) {
        interface_configure(); /* what the command line says */
        interface_wait();      /* a while, for addresses that come from elsewhere */
    }
    net_unlock();
    return error;
}
