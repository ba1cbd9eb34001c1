/*
 * How the command line configures the interfaces. Private to net/.
 *
 *     ip=dhcp | none | ADDRESS/BITS[,GATEWAY[,DNS...]]     default: dhcp
 *     ip6=auto | none | ADDRESS/64[,GATEWAY[,DNS...]]      default: auto (SLAAC, RFC 4862)
 *     hostname=NAME                                        default: parvus
 *
 * `dhcp`, `auto` and `none` mean every interface, an address means eth0. eth1.ip=..., eth1.ip6=...
 * are for one interface, and come first. A gateway may be left empty. A bad value is an error that
 * names it, and leaves the interface without an address of that family.
 */
#ifndef NET_CONFIG_H
#define NET_CONFIG_H

#include <stdbool.h>

#include <lwip/ip_addr.h>

#define CONFIG_MAX_DNS 3

enum config_method { CONFIG_NONE, CONFIG_AUTOMATIC, CONFIG_STATIC };

struct config {
    enum config_method method;
    /* Static only. */
    ip_addr_t address, gateway; /* gateway: any, if there is none */
    unsigned prefix_bits;
    unsigned nr_dns;
    ip_addr_t dns[CONFIG_MAX_DNS];
};

/* What the n-th interface, of this name, is to have. */
void config_ip4(unsigned n, const char *name, struct config *out);
void config_ip6(unsigned n, const char *name, struct config *out);
const char *config_hostname(void);
/* Warns of parameters for interfaces that there are not: ethN with N >= count. */
void config_check(unsigned count);

/* The value of ip= or ip6=, as text; key is for messages. -EINVAL: said so. Exposed to tests. */
int config_parse(const char *key, const char *value, bool is_ipv6, struct config *out);

#endif
