/*
 * Network devices as lwIP's interfaces. Private to net/. Everything under net_lock.
 */
#ifndef NET_DEVICE_H
#define NET_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct netif;
struct pbuf;
struct net_interface;

/* Makes an interface of each device that the kernel knows and that is none yet. -ENOMEM. */
int net_device_init(void);
/* Hands in what arrived, a bounded number of packets; returns how many events there were. */
unsigned net_device_poll(void);
/* Tells the devices of what was sent. */
void net_device_flush(void);
/* Something waits for net_device_flush. */
bool net_device_has_output(void);
/* The devices have taken all that was sent; needs net_device_poll to learn of it. */
bool net_device_is_drained(void);
/* Turns interrupts on; false: something arrived in between. */
bool net_device_listen(void);

/*
 * Of a received packet that has to wait for its reader: itself, or a copy in memory of our own once
 * many of the devices' buffers wait so; readers that are slow do not keep others from receiving. p
 * is the callee's.
 */
struct pbuf *net_device_settle(struct pbuf *p);

/* Whether TCP may send packets there that are larger than the MTU: the device cuts them. */
bool net_device_cuts(const struct netif *netif, bool is_ipv6);

/* By its name, or NULL. */
struct netif *net_device_netif(const char *name);
/* Name, state and counts; false: not a device (loopback). */
bool net_device_describe(const struct netif *netif, struct net_interface *out);

#endif
