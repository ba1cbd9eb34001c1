/*
 * What <parvus.h> tells of the network's interfaces. In a file of its own: it is linked only into
 * images that ask, and brings the network with it.
 *
 * An ordinary call from threads; it may wait for the stack's lock.
 */
#include <arpa/inet.h>
#include <parvus.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

#define MAX_ADDRESSES (sizeof(((struct parvus_interface *)0)->addresses) / 48)

_Static_assert(NET_MAX_ADDRESSES <= MAX_ADDRESSES, "all addresses fit");

static void format_address(const struct net_address *address, unsigned prefix_bits, char *out,
                           size_t bytes)
{
    char text[INET6_ADDRSTRLEN] = "?";

    inet_ntop(address->family == NET_IPV4 ? AF_INET : AF_INET6, address->address, text,
              sizeof(text));
    snprintf(out, bytes, "%.42s/%u", text, prefix_bits % 1000);
}

bool parvus_interface(unsigned n, struct parvus_interface *out)
{
    struct net_interface from;

    if (net_interface(n, &from) != 0)
        return false;
    *out = (struct parvus_interface){
        .is_up = from.is_up,
        .is_loopback = from.is_loopback,
        .is_broken = from.is_broken,
        .has_dhcp = from.has_dhcp,
        .mtu_bytes = from.mtu_bytes,
        .nr_addresses = from.nr_addresses,
        .rx_packets = from.counts.rx_packets,
        .rx_bytes = from.counts.rx_bytes,
        .rx_dropped = from.counts.rx_dropped,
        .tx_packets = from.counts.tx_packets,
        .tx_bytes = from.counts.tx_bytes,
        .tx_dropped = from.counts.tx_dropped,
        .interrupts = from.counts.interrupts,
        .kicks = from.counts.kicks,
    };
    memcpy(out->name, from.name, sizeof(from.name));
    memcpy(out->mac, from.mac, sizeof(out->mac));
    for (unsigned i = 0; i < from.nr_addresses; i++)
        format_address(&from.addresses[i].address, from.addresses[i].prefix_bits, out->addresses[i],
                       sizeof(out->addresses[i]));
    return true;
}
