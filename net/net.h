/*
 * The network: start, interfaces, statistics, names.
 *
 * Threads only. Everything here may wait for the stack's lock.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "net/socket.h"

/*
 * Starts the stack: the loopback interface lo, then each network device as the command line says
 * (net/config.h), and waits until each of them has an address, a bounded time (NET_START_WAIT_NS
 * in net/interface.h).
 * Called once, before main(), where the image holds the network. -ENOMEM. What an interface lacks
 * is a warning, no error.
 */
int net_start(void);

/*
 * The end of the application, once: closes every connection as the end of a process would, and
 * waits until the peers have what was sent, a bounded time (NET_FINISH_NS).
 */
#define NET_FINISH_NS 5000000000ul
void net_finish(void);

#define NET_NAME_BYTES 8
#define NET_MAX_ADDRESSES 5 /* one IPv4, the others IPv6 */

struct net_interface {
    unsigned number; /* 1.. */
    char name[NET_NAME_BYTES];
    bool is_up; /* it has a link, too */
    bool is_loopback;
    bool is_broken; /* the device lied or vanished */
    uint8_t mac[6];
    unsigned mtu_bytes;
    unsigned nr_addresses;
    struct {
        struct net_address address;
        uint8_t prefix_bits;
    } addresses[NET_MAX_ADDRESSES];
    struct net_address gateway; /* IPv4; address zero: none */
    bool has_dhcp;
    struct {
        uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
        uint64_t interrupts, kicks, polls;
    } counts;
};

/* The n-th interface, n = 0, 1, ... -ENOENT: there are no more. */
int net_interface(unsigned n, struct net_interface *out);

struct net_counts {
    uint32_t tcp_active;    /* connections, but for those below */
    uint32_t tcp_time_wait; /* ... that only wait for late segments */
    uint32_t tcp_listening;
    uint32_t udp;
    uint64_t memory_bytes;     /* in use by the stack */
    uint64_t memory_max_bytes; /* at most so far */
    uint64_t memory_limit_bytes;
    uint64_t memory_refused; /* requests beyond the limit */
    uint64_t tcp_received, tcp_sent, tcp_dropped, tcp_bad_checksum;
    uint64_t ip_received, ip_dropped;
};
void net_counts(struct net_counts *out);

/*
 * The addresses of a name (or of an address as text), at most max; returns how many. -ENOENT: no
 * such name; -EAGAIN: no server answered until the deadline; -ENETUNREACH: no server is known.
 */
int net_resolve(const char *name, enum net_family family, struct net_address *out, unsigned max,
                uint64_t deadline_ns);

const char *net_hostname(void);

#endif
