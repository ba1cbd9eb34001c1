/* See system.h. */
#include "system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add_fact(struct system *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_fact(struct system *out, const char *name, const char *format, ...)
{
    struct system_fact *fact = &out->facts[out->nr_facts];
    va_list args;

    if (out->nr_facts == sizeof(out->facts) / sizeof(out->facts[0]))
        return;
    out->nr_facts++;
    fact->name = name;
    va_start(args, format);
    vsnprintf(fact->value, sizeof(fact->value), format, args);
    va_end(args);
}

static void format_mac(const uint8_t mac[6], char out[20])
{
    snprintf(out, 20, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

#ifdef __parvus__

#include <parvus.h>

static void read_interfaces(struct system *out)
{
    struct parvus_interface from;

    for (unsigned n = 0; n < SYSTEM_INTERFACES && parvus_interface(n, &from); n++) {
        struct system_interface *to = &out->interfaces[out->nr_interfaces++];

        *to = (struct system_interface){
            .is_up = from.is_up,
            .is_loopback = from.is_loopback,
            .mtu_bytes = from.mtu_bytes,
            .rx_packets = from.rx_packets,
            .rx_bytes = from.rx_bytes,
            .rx_dropped = from.rx_dropped,
            .tx_packets = from.tx_packets,
            .tx_bytes = from.tx_bytes,
            .tx_dropped = from.tx_dropped,
            .interrupts = from.interrupts,
            .kicks = from.kicks,
        };
        memcpy(to->name, from.name, sizeof(to->name));
        snprintf(to->note, sizeof(to->note), "%s",
                 from.is_broken  ? "broken"
                 : from.has_dhcp ? "DHCP"
                                 : "");
        if (!from.is_loopback)
            format_mac(from.mac, to->mac);
        for (unsigned i = 0; i < from.nr_addresses && i < SYSTEM_ADDRESSES; i++)
            memcpy(to->addresses[to->nr_addresses++], from.addresses[i], sizeof(to->addresses[0]));
    }
}

void system_read(struct system *out)
{
    struct parvus_info info;

    parvus_info(&info);
    *out = (struct system){
        .kind = "Parvus",
        .hypervisor = info.hypervisor,
        .uptime_ms = info.uptime_ns / 1000000,
        .memory_bytes = info.memory_bytes,
        .memory_free_bytes = info.memory_free_bytes,
        .heap_bytes = info.heap_bytes,
        .heap_used_bytes = info.heap_used_bytes,
    };
    add_fact(out, "Hypervisor", "%s, interface %s", info.hypervisor, info.interface);
    add_fact(out, "Domain", "%s",
             info.initial_domain ? "initial: drives the devices itself" : "unprivileged");
    add_fact(out, "Kernel and application", "ring 3, no privileged instruction");
    add_fact(out, "Write xor execute", "%s",
             info.wx_enforced ? "enforced by the hypervisor" : "kept by the guest");
    add_fact(out, "Stack overflows", "%s",
             info.fault_stack ? "reported on a stack of their own" : "end the domain");
    add_fact(out, "Clock", "paravirtual, read without a hypercall; TSC at %.3f MHz",
             (double)info.tsc_hz / 1e6);
    add_fact(out, "Processors", "%u", info.processors);
    add_fact(out, "Initrd", "%llu bytes", (unsigned long long)info.initrd_bytes);
    read_interfaces(out);
}

#else

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <malloc.h>
#include <net/if.h>
#include <netdb.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static struct system_interface *interface_named(struct system *out, const char *name)
{
    for (unsigned i = 0; i < out->nr_interfaces; i++) {
        if (strcmp(out->interfaces[i].name, name) == 0)
            return &out->interfaces[i];
    }
    if (out->nr_interfaces == SYSTEM_INTERFACES)
        return NULL;
    struct system_interface *interface = &out->interfaces[out->nr_interfaces++];
    *interface = (struct system_interface){0};
    snprintf(interface->name, sizeof(interface->name), "%s", name);
    return interface;
}

static void read_link(struct system_interface *to, const struct ifaddrs *from)
{
    const struct sockaddr_ll *link = (const struct sockaddr_ll *)from->ifa_addr;
    const struct rtnl_link_stats *counts = from->ifa_data;

    if (!to->is_loopback && link->sll_halen == 6)
        format_mac(link->sll_addr, to->mac);
    if (counts != NULL) {
        to->rx_packets = counts->rx_packets;
        to->rx_bytes = counts->rx_bytes;
        to->rx_dropped = counts->rx_dropped;
        to->tx_packets = counts->tx_packets;
        to->tx_bytes = counts->tx_bytes;
        to->tx_dropped = counts->tx_dropped;
    }
}

static void read_interfaces(struct system *out)
{
    struct ifaddrs *list;

    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *from = list; from != NULL; from = from->ifa_next) {
        struct system_interface *to =
            from->ifa_addr != NULL ? interface_named(out, from->ifa_name) : NULL;
        int family = from->ifa_addr != NULL ? from->ifa_addr->sa_family : AF_UNSPEC;

        if (to == NULL)
            continue;
        to->is_up = (from->ifa_flags & IFF_RUNNING) != 0;
        to->is_loopback = (from->ifa_flags & IFF_LOOPBACK) != 0;
        if (family == AF_PACKET)
            read_link(to, from);
        if ((family != AF_INET && family != AF_INET6) || to->nr_addresses == SYSTEM_ADDRESSES)
            continue;
        if (getnameinfo(from->ifa_addr,
                        family == AF_INET ? sizeof(struct sockaddr_in)
                                          : sizeof(struct sockaddr_in6),
                        to->addresses[to->nr_addresses], sizeof(to->addresses[0]), NULL, 0,
                        NI_NUMERICHOST) == 0)
            to->nr_addresses++;
    }
    freeifaddrs(list);
}

void system_read(struct system *out)
{
    struct mallinfo2 heap = mallinfo2();
    struct sysinfo info = {0};
    struct utsname names = {0};

    sysinfo(&info);
    uname(&names);
    *out = (struct system){
        .kind = "Linux",
        .hypervisor = "none",
        .uptime_ms = (uint64_t)info.uptime * 1000,
        .memory_bytes = (uint64_t)info.totalram * info.mem_unit,
        .memory_free_bytes = (uint64_t)info.freeram * info.mem_unit,
        .heap_bytes = heap.arena,
        .heap_used_bytes = heap.uordblks,
    };
    add_fact(out, "Kernel", "%.30s %.60s", names.sysname, names.release);
    read_interfaces(out);
}

#endif
