/*
 * net_start: the story of the network's beginning; net_finish: its end.
 */
#include <lwip/init.h>
#include <lwip/netif.h>

#include "kernel/clock.h"
#include "net/core.h"
#include "net/device.h"
#include "net/interface.h"
#include "net/memory.h"
#include "net/net.h"
#include "net/random.h"
#include "net/socket_inside.h"

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

#define FINISH_POLL_NS NS_PER_MS

void net_finish(void)
{
    static struct cond never; /* nobody tells of an acknowledgement that nobody waits for */
    uint64_t now_ns = clock_monotonic_ns(), deadline_ns = now_ns + NET_FINISH_NS;

    net_lock();
    socket_finish();
    for (;;) {
        net_device_flush();
        net_device_poll();
        if ((socket_is_flushed() && net_device_is_drained()) || now_ns >= deadline_ns)
            break;
        net_wait(&never, now_ns + FINISH_POLL_NS);
        now_ns = clock_monotonic_ns();
    }
    net_unlock();
}
