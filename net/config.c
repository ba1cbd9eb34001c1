/*
 * The command line's words about the network, see net/config.h.
 *
 * Callers: net_start. The command line does not change, and no lock is needed.
 */
#include "net/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/ip4_addr.h>

#include "kernel/cmdline.h"
#include "kernel/format.h"
#include "kernel/log.h"

#define FIELD_BYTES 64
#define KEY_BYTES 16
#define HOSTNAME_MAX 63 /* RFC 1035, 2.3.4: of a label */
#define MAX_NAMED 16    /* interfaces whose parameters are looked for */

static int bad(const char *key, const char *value, const char *why, const char *what)
{
    log_error("%s=%s: \"%s\" %s", key, value, what, why);
    return -EINVAL;
}

/* Copies up to the next comma (or the end) and moves behind it; NULL: no more fields, or too long a
 * one, which then stands in field cut. */
static bool next_field(const char **at, char field[FIELD_BYTES])
{
    if (!*at)
        return false;
    size_t length = strcspn(*at, ",");
    size_t kept = length < FIELD_BYTES - 1 ? length : FIELD_BYTES - 1;
    memcpy(field, *at, kept);
    field[kept] = 0;
    *at = (*at)[length] ? *at + length + 1 : NULL;
    return true;
}

static bool parse_address(const char *text, bool is_ipv6, ip_addr_t *out)
{
    return ipaddr_aton(text, out) && IP_IS_V6_VAL(*out) == is_ipv6 && !strchr(text, '%') &&
           (is_ipv6 || strspn(text, "0123456789.") == strlen(text));
}

/* Neither the network itself nor its broadcast address, nor one that no host has. */
static bool is_host_address(const ip_addr_t *ip, unsigned prefix_bits)
{
    if (ip_addr_isany(ip) || ip_addr_ismulticast(ip) || ip_addr_isloopback(ip))
        return false;
    if (IP_IS_V6_VAL(*ip) || prefix_bits > 30)
        return true;
    u32_t host = lwip_ntohl(ip_2_ip4(ip)->addr) & (0xffffffffu >> prefix_bits);
    return host != 0 && host != 0xffffffffu >> prefix_bits;
}

/* ADDRESS/BITS */
static int parse_network(const char *key, const char *value, char *field, bool is_ipv6,
                         struct config *out)
{
    char *slash = strchr(field, '/'), *end;

    if (!slash)
        return bad(key, value,
                   is_ipv6 ? "is none of: auto, none, ADDRESS/64[,GATEWAY[,DNS...]]"
                           : "is none of: dhcp, none, ADDRESS/BITS[,GATEWAY[,DNS...]]",
                   field);
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end)
        return bad(key, value, "is no number of bits", slash + 1);
    if (is_ipv6 && bits != 64)
        return bad(key, value, "is not 64, the only prefix length for IPv6 here", slash + 1);
    if (!is_ipv6 && (bits < 1 || bits > 32))
        return bad(key, value, "is not between 1 and 32", slash + 1);
    *slash = 0;
    if (!parse_address(field, is_ipv6, &out->address))
        return bad(key, value, is_ipv6 ? "is no IPv6 address" : "is no IPv4 address", field);
    if (!is_host_address(&out->address, (unsigned)bits))
        return bad(key, value, "is not the address of a host", field);
    out->prefix_bits = (unsigned)bits;
    return 0;
}

int config_parse(const char *key, const char *value, bool is_ipv6, struct config *out)
{
    const char *at = value;
    char field[FIELD_BYTES];

    memset(out, 0, sizeof(*out));
    out->gateway = is_ipv6 ? *IP6_ADDR_ANY : *IP4_ADDR_ANY;
    if (strcmp(value, "none") == 0)
        return 0;
    if (strcmp(value, is_ipv6 ? "auto" : "dhcp") == 0) {
        out->method = CONFIG_AUTOMATIC;
        return 0;
    }
    next_field(&at, field);
    int error = parse_network(key, value, field, is_ipv6, out);
    if (error)
        return error;
    if (next_field(&at, field) && *field) {
        if (!parse_address(field, is_ipv6, &out->gateway) || !is_host_address(&out->gateway, 32))
            return bad(key, value, "is no gateway's address", field);
        if (!is_ipv6) {
            ip4_addr_t mask = {PP_HTONL(0xffffffffu << (32 - out->prefix_bits))};
            if (!ip4_addr_net_eq(ip_2_ip4(&out->gateway), ip_2_ip4(&out->address), &mask))
                return bad(key, value, "is a gateway outside of the interface's network", field);
        }
    }
    while (next_field(&at, field)) {
        if (out->nr_dns == CONFIG_MAX_DNS)
            return bad(key, value, "is one name server too many: there may be three", field);
        if (!ipaddr_aton(field, &out->dns[out->nr_dns]) || ip_addr_isany(&out->dns[out->nr_dns]))
            return bad(key, value, "is no name server's address", field);
        out->nr_dns++;
    }
    out->method = CONFIG_STATIC;
    return 0;
}

static void configure(unsigned n, const char *name, bool is_ipv6, struct config *out)
{
    const char *common = is_ipv6 ? "ip6" : "ip";
    const char *automatic = is_ipv6 ? "auto" : "dhcp";
    char key[KEY_BYTES];

    ksnprintf(key, sizeof(key), "%s.%s", name, common);
    const char *value = cmdline_get(key);
    if (!value) {
        ksnprintf(key, sizeof(key), "%s", common);
        value = cmdline_get(key);
    }
    if (!value)
        value = automatic;
    if (config_parse(key, value, is_ipv6, out)) {
        out->method = CONFIG_NONE;
    } else if (n > 0 && strcmp(key, common) == 0 && out->method == CONFIG_STATIC) {
        config_parse(key, automatic, is_ipv6, out); /* that address is eth0's */
    }
}

void config_ip4(unsigned n, const char *name, struct config *out)
{
    configure(n, name, false, out);
}

void config_ip6(unsigned n, const char *name, struct config *out)
{
    configure(n, name, true, out);
}

const char *config_hostname(void)
{
    const char *name = cmdline_get("hostname");

    if (!name)
        return "parvus";
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    if (length == 0 || length > HOSTNAME_MAX || name[length] || name[0] == '-') {
        log_error("hostname=%s: not a host's name (letters, digits and -, at most %d)", name,
                  HOSTNAME_MAX);
        return "parvus";
    }
    return name;
}

void config_check(unsigned count)
{
    for (unsigned n = count; n < MAX_NAMED; n++) {
        static const char *const suffixes[] = {"ip", "ip6"};
        for (unsigned i = 0; i < 2; i++) {
            char key[KEY_BYTES];
            ksnprintf(key, sizeof(key), "eth%u.%s", n, suffixes[i]);
            if (cmdline_get(key))
                log_warn("%s=%s: there is no interface eth%u", key, cmdline_get(key), n);
        }
    }
}
