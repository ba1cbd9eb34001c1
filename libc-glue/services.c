/*
 * Names of services and protocols.
 *
 * Ordinary calls from threads. Source: IANA's Service Name and Transport Protocol Port Number
 * Registry.
 */
#include "libc-glue/services.h"

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct service services[] = {
    {"echo", 7, NULL},        {"discard", 9, NULL},   {"daytime", 13, NULL},
    {"ftp", 21, "tcp"},       {"ssh", 22, "tcp"},     {"telnet", 23, "tcp"},
    {"smtp", 25, "tcp"},      {"time", 37, NULL},     {"domain", 53, NULL},
    {"tftp", 69, "udp"},      {"http", 80, "tcp"},    {"pop3", 110, "tcp"},
    {"ntp", 123, "udp"},      {"imap2", 143, "tcp"},  {"snmp", 161, NULL},
    {"ldap", 389, NULL},      {"https", 443, NULL},   {"syslog", 514, "udp"},
    {"imaps", 993, "tcp"},    {"mysql", 3306, "tcp"}, {"postgresql", 5432, "tcp"},
    {"http-alt", 8080, NULL},
};
#define END (services + sizeof(services) / sizeof(services[0]))

static bool has_protocol(const struct service *s, const char *protocol)
{
    return protocol == NULL || s->protocol == NULL || strcmp(s->protocol, protocol) == 0;
}

const struct service *service_by_name(const char *name, const char *protocol)
{
    for (const struct service *s = services; s < END; s++)
        if (strcmp(s->name, name) == 0 && has_protocol(s, protocol))
            return s;
    return NULL;
}

const struct service *service_by_port(int port, const char *protocol)
{
    for (const struct service *s = services; s < END; s++)
        if (s->port == port && has_protocol(s, protocol))
            return s;
    return NULL;
}

static char *no_aliases[] = {NULL};

static struct servent *servent_of(const struct service *s, const char *protocol)
{
    static _Thread_local struct servent result;

    if (s == NULL)
        return NULL;
    if (s->protocol != NULL)
        protocol = s->protocol;
    result = (struct servent){
        .s_name = (char *)s->name,
        .s_aliases = no_aliases,
        .s_port = htons((uint16_t)s->port),
        .s_proto = (char *)(protocol != NULL ? protocol : "tcp"),
    };
    return &result;
}

struct servent *getservbyname(const char *name, const char *protocol)
{
    return servent_of(service_by_name(name, protocol), protocol);
}

struct servent *getservbyport(int port, const char *protocol)
{
    return servent_of(service_by_port(ntohs((uint16_t)port), protocol), protocol);
}

static struct protoent protocols[] = {
    {"ip", no_aliases, IPPROTO_IP},
    {"icmp", no_aliases, IPPROTO_ICMP},
    {"tcp", no_aliases, IPPROTO_TCP},
    {"udp", no_aliases, IPPROTO_UDP},
    {"ipv6-icmp", no_aliases, IPPROTO_ICMPV6},
};
#define PROTOCOLS_END (protocols + sizeof(protocols) / sizeof(protocols[0]))

struct protoent *getprotobyname(const char *name)
{
    for (struct protoent *p = protocols; p < PROTOCOLS_END; p++)
        if (strcmp(p->p_name, name) == 0)
            return p;
    return NULL;
}

struct protoent *getprotobynumber(int number)
{
    for (struct protoent *p = protocols; p < PROTOCOLS_END; p++)
        if (p->p_proto == number)
            return p;
    return NULL;
}
