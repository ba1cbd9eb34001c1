/*
 * Addresses of the interfaces, see net/interface.h; what net/net.h tells of them.
 *
 * Callers: net_start, lwIP's callbacks, libc-glue and applications by net/net.h. Lock: net_lock.
 */
#include "net/interface.h"

#include <errno.h>
#include <string.h>

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/stats.h>
#include <lwip/udp.h>

#include "kernel/clock.h"
#include "kernel/format.h"
#include "kernel/log.h"
#include "kernel/netdev.h"
#include "net/config.h"
#include "net/core.h"
#include "net/device.h"
#include "net/hooks.h"
#include "net/memory.h"
#include "net/net.h"

#define MAX_INTERFACES 16
#define IPV6_PREFIX_BITS 64
#define LOOPBACK_PREFIX_BITS 128

static struct cond addresses_changed;
/* By lwIP's number of the interface, less 1. */
static struct {
    struct config ip4;
    ip6_addr_t gateway6; /* any: none */
} settings[MAX_INTERFACES];

static unsigned index_of(const struct netif *netif)
{
    return netif_get_index(netif) - 1u;
}

static const char *name_of(const struct netif *netif)
{
    static struct net_interface description; /* net_lock */

    return net_device_describe(netif, &description) ? description.name : "lo";
}

/* --- Changes ---------------------------------------------------------------------------------- */

/* The first that has a gateway is where packets for elsewhere go. */
static void choose_default(void)
{
    struct netif *best = NULL;

    for (struct netdev *dev = netdev_first(); dev; dev = netdev_next(dev)) {
        struct netif *netif = net_device_netif(dev->name);
        if (!netif)
            continue;
        if (!best || (ip4_addr_isany(netif_ip4_gw(best)) && !ip4_addr_isany(netif_ip4_gw(netif))))
            best = netif;
    }
    if (best)
        netif_set_default(best);
}

static unsigned mask_bits(const ip4_addr_t *mask)
{
    return (unsigned)__builtin_popcount(ip4_addr_get_u32(mask));
}

static void log_ip4(struct netif *netif)
{
    char address[IP4ADDR_STRLEN_MAX], gateway[IP4ADDR_STRLEN_MAX];

    if (ip4_addr_isany(netif_ip4_addr(netif))) {
        log_info("%s: no IPv4 address", name_of(netif));
        return;
    }
    ip4addr_ntoa_r(netif_ip4_addr(netif), address, sizeof(address));
    ip4addr_ntoa_r(netif_ip4_gw(netif), gateway, sizeof(gateway));
    log_info("%s: %s/%u, gateway %s%s", name_of(netif), address,
             mask_bits(netif_ip4_netmask(netif)),
             ip4_addr_isany(netif_ip4_gw(netif)) ? "none" : gateway,
             settings[index_of(netif)].ip4.method == CONFIG_AUTOMATIC ? ", from DHCP" : "");
}

static void on_change(struct netif *netif, netif_nsc_reason_t reason,
                      const netif_ext_callback_args_t *args)
{
    if (reason & LWIP_NSC_IPV4_ADDR_VALID) {
        choose_default();
        log_ip4(netif);
    }
    if (reason & LWIP_NSC_IPV6_ADDR_STATE_CHANGED) {
        s8_t i = args->ipv6_addr_state_changed.addr_index;
        u8_t before = args->ipv6_addr_state_changed.old_state;
        if (ip6_addr_ispreferred(netif_ip6_addr_state(netif, i)) && !ip6_addr_ispreferred(before)) {
            char address[IP6ADDR_STRLEN_MAX];
            ip6addr_ntoa_r(netif_ip6_addr(netif, i), address, sizeof(address));
            log_info("%s: %s/%u", name_of(netif), address, IPV6_PREFIX_BITS);
        }
    }
    cond_broadcast(&addresses_changed);
}

/* lwIP learns IPv6 gateways from routers only. */
const ip6_addr_t *net_ip6_gateway(struct netif *netif, const ip6_addr_t *destination)
{
    (void)destination;
    unsigned i = index_of(netif);

    return i < MAX_INTERFACES && !ip6_addr_isany(&settings[i].gateway6) ? &settings[i].gateway6
                                                                        : NULL;
}

/* --- Beginning -------------------------------------------------------------------------------- */

static void set_dns(const struct config *config)
{
    static u8_t next;

    for (unsigned i = 0; i < config->nr_dns && next < DNS_MAX_SERVERS; i++)
        dns_setserver(next++, &config->dns[i]);
}

static void start_ip4(struct netif *netif, const struct config *config)
{
    if (config->method == CONFIG_AUTOMATIC) {
        if (dhcp_start(netif) != ERR_OK)
            log_error("%s: no memory for DHCP", name_of(netif));
    } else if (config->method == CONFIG_STATIC) {
        ip4_addr_t mask = {PP_HTONL(0xffffffffu << (32 - config->prefix_bits))};
        netif_set_addr(netif, ip_2_ip4(&config->address), &mask, ip_2_ip4(&config->gateway));
        set_dns(config);
    }
}

static void start_ip6(struct netif *netif, const struct config *config)
{
    if (config->method == CONFIG_NONE)
        return;
    netif_create_ip6_linklocal_address(netif, 1);
    netif_set_ip6_autoconfig_enabled(netif, config->method == CONFIG_AUTOMATIC);
    if (config->method == CONFIG_STATIC) {
        ip6_addr_t address = *ip_2_ip6(&config->address);
        ip6_addr_assign_zone(&address, IP6_UNICAST, netif);
        netif_add_ip6_address(netif, &address, NULL);
        settings[index_of(netif)].gateway6 = *ip_2_ip6(&config->gateway);
        ip6_addr_assign_zone(&settings[index_of(netif)].gateway6, IP6_UNICAST, netif);
        set_dns(config);
    }
}

static void start(unsigned n, struct netdev *dev, struct netif *netif)
{
    struct config ip6;

    log_info("%s: %02x:%02x:%02x:%02x:%02x:%02x, MTU %u%s%s%s", dev->name, dev->mac[0], dev->mac[1],
             dev->mac[2], dev->mac[3], dev->mac[4], dev->mac[5], dev->mtu_bytes,
             dev->features & NETDEV_TX_CHECKSUM ? ", checksums" : "",
             dev->features & (NETDEV_TX_TSO4 | NETDEV_TX_TSO6) ? ", segmentation" : "",
             dev->link_is_up ? "" : ", link down");
    if (index_of(netif) >= MAX_INTERFACES) {
        log_error("%s: more than %u interfaces: not used", dev->name, MAX_INTERFACES - 1);
        return;
    }
    netif_set_hostname(netif, net_hostname());
    netif_set_up(netif);
    config_ip6(n, dev->name, &ip6);
    start_ip6(netif, &ip6);
    config_ip4(n, dev->name, &settings[index_of(netif)].ip4);
    start_ip4(netif, &settings[index_of(netif)].ip4);
}

void interface_configure(void)
{
    static netif_ext_callback_t callback;
    unsigned n = 0;

    if (!callback.callback_fn)
        netif_add_ext_callback(&callback, on_change);
    for (struct netdev *dev = netdev_first(); dev; dev = netdev_next(dev)) {
        struct netif *netif = net_device_netif(dev->name);
        if (netif && !netif_is_up(netif))
            start(n, dev, netif);
        n++;
    }
    choose_default();
    config_check(n);
}

/* An interface that DHCP has still to configure, or NULL. */
static struct netif *first_waiting(void)
{
    struct netif *netif;

    NETIF_FOREACH(netif)
    {
        unsigned i = index_of(netif);
        if (i < MAX_INTERFACES && settings[i].ip4.method == CONFIG_AUTOMATIC &&
            netif_is_link_up(netif) && ip4_addr_isany(netif_ip4_addr(netif)))
            return netif;
    }
    return NULL;
}

void interface_wait(void)
{
    uint64_t deadline_ns = clock_monotonic_ns() + NET_START_WAIT_NS;
    struct netif *netif;

    while ((netif = first_waiting())) {
        if (net_wait(&addresses_changed, deadline_ns) == 0)
            continue;
        log_warn("%s: no DHCP server answered within %llu s (ip= sets an address; asking on)",
                 name_of(netif), NET_START_WAIT_NS / NS_PER_SECOND);
        return;
    }
}

/* --- What others see -------------------------------------------------------------------------- */

const char *net_hostname(void)
{
    static const char *name;

    if (!name)
        name = config_hostname();
    return name;
}

static void add_ip6(struct net_interface *out, const struct netif *netif, s8_t i)
{
    const ip6_addr_t *ip = netif_ip6_addr(netif, i);

    if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) || out->nr_addresses == NET_MAX_ADDRESSES)
        return;
    struct net_address *a = &out->addresses[out->nr_addresses].address;
    a->family = NET_IPV6;
    memcpy(a->address, ip->addr, sizeof(a->address));
    a->interface = ip6_addr_has_scope(ip, IP6_UNICAST) ? out->number : 0;
    out->addresses[out->nr_addresses].prefix_bits =
        out->is_loopback ? LOOPBACK_PREFIX_BITS : IPV6_PREFIX_BITS;
    out->nr_addresses++;
}

static void describe(const struct netif *netif, struct net_interface *out)
{
    memset(out, 0, sizeof(*out));
    out->number = netif_get_index(netif);
    if (!net_device_describe(netif, out)) {
        strcpy(out->name, "lo");
        out->is_loopback = true;
    }
    out->is_up = netif_is_up(netif) && netif_is_link_up(netif);
    memcpy(out->mac, netif->hwaddr, sizeof(out->mac));
    out->mtu_bytes = out->is_loopback ? 65535 : netif->mtu;
    out->has_dhcp = !out->is_loopback && index_of(netif) < MAX_INTERFACES &&
                    settings[index_of(netif)].ip4.method == CONFIG_AUTOMATIC;
    if (!ip4_addr_isany(netif_ip4_addr(netif))) {
        out->addresses[0].address.family = NET_IPV4;
        memcpy(out->addresses[0].address.address, netif_ip4_addr(netif), 4);
        out->addresses[0].prefix_bits = (uint8_t)mask_bits(netif_ip4_netmask(netif));
        out->nr_addresses = 1;
    }
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        add_ip6(out, netif, i);
    out->gateway.family = NET_IPV4;
    memcpy(out->gateway.address, netif_ip4_gw(netif), 4);
}

int net_interface(unsigned n, struct net_interface *out)
{
    int error = -ENOENT;

    net_lock();
    for (unsigned number = 1; number <= UINT8_MAX; number++) {
        const struct netif *netif = netif_get_by_index((u8_t)number);
        if (!netif || n-- > 0)
            continue;
        describe(netif, out);
        error = 0;
        break;
    }
    net_unlock();
    return error;
}

static uint32_t count_tcp(const struct tcp_pcb *pcb)
{
    uint32_t count = 0;

    for (; pcb; pcb = pcb->next)
        count++;
    return count;
}

void net_counts(struct net_counts *out)
{
    struct net_memory_counts memory;

    memset(out, 0, sizeof(*out));
    net_lock();
    out->tcp_active = count_tcp(tcp_active_pcbs);
    out->tcp_time_wait = count_tcp(tcp_tw_pcbs);
    out->tcp_listening = count_tcp(tcp_listen_pcbs.pcbs);
    for (const struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next)
        out->udp++;
    net_memory_counts(&memory);
    out->memory_bytes = memory.used_bytes;
    out->memory_max_bytes = memory.max_bytes;
    out->memory_limit_bytes = memory.limit_bytes;
    out->memory_refused = memory.refused;
    out->tcp_received = lwip_stats.tcp.recv;
    out->tcp_sent = lwip_stats.tcp.xmit;
    out->tcp_dropped = lwip_stats.tcp.drop;
    out->tcp_bad_checksum = lwip_stats.tcp.chkerr;
    out->ip_received = lwip_stats.ip.recv + lwip_stats.ip6.recv;
    out->ip_dropped = lwip_stats.ip.drop + lwip_stats.ip6.drop;
    net_unlock();
}
