/*
 * Addresses of the interfaces: from the command line, DHCP and SLAAC. Private to net/.
 */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

/* How long net_start waits for DHCP: a server that misses the first two questions is still in time
 * (lwIP asks at 0, 2 and 6 s). Without a server the application starts then, and lwIP goes on. */
#define NET_START_WAIT_NS (7 * NS_PER_SECOND)

/* Brings each that is not up yet up, as the command line says. net_lock. */
void interface_configure(void);
/* Waits until each has what it was to get, or NET_START_WAIT_NS. net_lock, which it gives up
 * meanwhile. */
void interface_wait(void);

#endif
