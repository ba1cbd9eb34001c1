/*
 * Network interfaces: names, indices, addresses.
 *
 * Ordinary calls from threads. Source: POSIX.1-2017 if_nametoindex; Linux's getifaddrs(3).
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/socket.h"
#include "net/net.h"

_Static_assert(IF_NAMESIZE >= NET_NAME_BYTES, "every name fits");

unsigned if_nametoindex(const char *name)
{
    struct net_interface interface;

    for (unsigned n = 0; net_interface(n, &interface) == 0; n++)
        if (strcmp(interface.name, name) == 0)
            return interface.number;
    errno = ENODEV;
    return 0;
}

char *if_indextoname(unsigned index, char *name)
{
    struct net_interface interface;

    for (unsigned n = 0; net_interface(n, &interface) == 0; n++)
        if (interface.number == index)
            return strcpy(name, interface.name);
    errno = ENXIO;
    return NULL;
}

/* One block: the list, then the names. */
struct if_nameindex *if_nameindex(void)
{
    struct net_interface interface;
    unsigned count = 0;

    while (net_interface(count, &interface) == 0)
        count++;
    struct if_nameindex *list = calloc(count + 1, sizeof(*list) + IF_NAMESIZE);
    if (list == NULL) {
        errno = ENOBUFS;
        return NULL;
    }
    char *names = (char *)(list + count + 1);
    for (unsigned n = 0; n < count && net_interface(n, &interface) == 0; n++) {
        list[n].if_index = interface.number;
        list[n].if_name = strcpy(names + n * IF_NAMESIZE, interface.name);
    }
    return list;
}

void if_freenameindex(struct if_nameindex *list)
{
    free(list);
}

/* --- Addresses ----------------------------------------------------------------------------------
 */

struct entry {
    struct ifaddrs ifaddrs; /* first */
    struct sockaddr_storage address, netmask, broadcast;
    char name[IF_NAMESIZE];
};

static void put_address(const struct net_address *from, struct sockaddr_storage *to,
                        struct sockaddr **pointer)
{
    socket_address_out(from, to, sizeof(*to));
    *pointer = (struct sockaddr *)to;
}

static void fill(struct entry *e, const struct net_interface *interface, unsigned i)
{
    const struct net_address *address = &interface->addresses[i].address;
    struct net_address netmask = {.family = address->family}, broadcast = *address;
    const unsigned bytes = address->family == NET_IPV4 ? 4 : 16;

    for (unsigned k = 0; k < bytes; k++) {
        int bits = (int)interface->addresses[i].prefix_bits - 8 * (int)k;
        netmask.address[k] = bits >= 8 ? 0xff : bits <= 0 ? 0 : (uint8_t)(0xff00 >> bits);
        broadcast.address[k] |= (uint8_t)~netmask.address[k];
    }
    strcpy(e->name, interface->name);
    e->ifaddrs.ifa_name = e->name;
    e->ifaddrs.ifa_flags = (interface->is_up ? IFF_UP | IFF_RUNNING : 0) |
                           (interface->is_loopback ? IFF_LOOPBACK : IFF_BROADCAST) | IFF_MULTICAST;
    put_address(address, &e->address, &e->ifaddrs.ifa_addr);
    put_address(&netmask, &e->netmask, &e->ifaddrs.ifa_netmask);
    if (address->family == NET_IPV4 && !interface->is_loopback)
        put_address(&broadcast, &e->broadcast, &e->ifaddrs.ifa_broadaddr);
}

int getifaddrs(struct ifaddrs **list)
{
    struct net_interface interface;
    struct ifaddrs *first = NULL, **last = &first;

    for (unsigned n = 0; net_interface(n, &interface) == 0; n++) {
        for (unsigned i = 0; i < interface.nr_addresses; i++) {
            struct entry *e = calloc(1, sizeof(*e));
            if (e == NULL) {
                freeifaddrs(first);
                errno = ENOMEM;
                return -1;
            }
            fill(e, &interface, i);
            *last = &e->ifaddrs;
            last = &e->ifaddrs.ifa_next;
        }
    }
    *list = first;
    return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
    while (list != NULL) {
        struct ifaddrs *next = list->ifa_next;
        free(list);
        list = next;
    }
}
