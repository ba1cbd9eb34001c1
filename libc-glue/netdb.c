/*
 * Names of hosts: getaddrinfo and getnameinfo.
 *
 * Ordinary calls from threads; they sleep while a name server is asked, RESOLVE_SECONDS at most.
 * Source: RFC 3493, 6.1 and 6.2; POSIX.1-2017 getaddrinfo.
 */
#include <netdb.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/deadline.h"
#include "libc-glue/services.h"
#include "libc-glue/socket.h"
#include "net/net.h"

#define RESOLVE_SECONDS 15
#define MAX_ADDRESSES 16 /* of one name */

#define KNOWN_FLAGS                                                                                \
    (AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG |           \
     AI_NUMERICSERV)

/* What a name stands for. */
struct found {
    unsigned count;
    struct net_address addresses[MAX_ADDRESSES];
};

/* --- Hosts --------------------------------------------------------------------------------------
 */

static void add(struct found *found, enum net_family family, const void *bytes, uint32_t interface)
{
    struct net_address *to = &found->addresses[found->count];

    if (found->count == MAX_ADDRESSES)
        return;
    *to = (struct net_address){.family = family, .interface = interface};
    memcpy(to->address, bytes, family == NET_IPV4 ? 4 : 16);
    found->count++;
}

static void add_mapped(struct found *found, const uint8_t ipv4[4])
{
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};

    memcpy(bytes + 12, ipv4, 4);
    add(found, NET_IPV6, bytes, 0);
}

static bool wants(int family, int which)
{
    return family == AF_UNSPEC || family == which;
}

/* No name: any address to listen on, the loopback ones to connect to. In glibc's order. */
static void find_unnamed(int flags, int family, struct found *found)
{
    const struct in_addr any = {0}, loopback = {htonl(INADDR_LOOPBACK)};

    if ((flags & AI_PASSIVE) != 0) {
        if (wants(family, AF_INET))
            add(found, NET_IPV4, &any, 0);
        if (wants(family, AF_INET6))
            add(found, NET_IPV6, &in6addr_any, 0);
    } else {
        if (wants(family, AF_INET6))
            add(found, NET_IPV6, &in6addr_loopback, 0);
        if (wants(family, AF_INET))
            add(found, NET_IPV4, &loopback, 0);
    }
}

/* The interface behind an address's % sign: its name or its index. 0: none of that. */
static uint32_t scope_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text != '\0' && *end == '\0')
        return number <= UINT32_MAX ? (uint32_t)number : 0;
    return if_nametoindex(text);
}

/* An address as text. EAI_NONAME: it is none. */
static int find_numeric(const char *name, int flags, int family, struct found *found)
{
    char text[INET6_ADDRSTRLEN];
    const char *percent = strchr(name, '%');
    size_t length = percent != NULL ? (size_t)(percent - name) : strlen(name);
    struct in_addr ipv4;
    struct in6_addr ipv6;
    uint32_t scope = 0;

    if (inet_aton(name, &ipv4)) {
        if (family == AF_INET6 && (flags & AI_V4MAPPED) == 0)
            return EAI_ADDRFAMILY;
        if (family == AF_INET6)
            add_mapped(found, (const uint8_t *)&ipv4);
        else
            add(found, NET_IPV4, &ipv4, 0);
        return 0;
    }
    if (length >= sizeof(text))
        return EAI_NONAME;
    memcpy(text, name, length);
    text[length] = '\0';
    if (inet_pton(AF_INET6, text, &ipv6) != 1)
        return EAI_NONAME;
    if (family == AF_INET)
        return EAI_ADDRFAMILY;
    if (percent != NULL && (scope = scope_of(percent + 1)) == 0)
        return EAI_NONAME;
    add(found, NET_IPV6, &ipv6, scope);
    return 0;
}

/* Whether an interface other than the loopback one has an address of this family that reaches
 * beyond its link. */
static bool is_configured(enum net_family family)
{
    struct net_interface interface;

    for (unsigned n = 0; net_interface(n, &interface) == 0; n++) {
        for (unsigned i = 0; i < interface.nr_addresses && !interface.is_loopback; i++) {
            const struct net_address *address = &interface.addresses[i].address;
            if (address->family == family &&
                (family == NET_IPV4 ||
                 !IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address->address)))
                return true;
        }
    }
    return false;
}

static int ask_servers(const char *name, enum net_family family, bool mapped, struct found *found)
{
    struct net_address addresses[MAX_ADDRESSES];
    int count = net_resolve(name, family, addresses, MAX_ADDRESSES,
                            deadline_after_ns(RESOLVE_SECONDS * NS_PER_SECOND));

    for (int i = 0; i < count; i++) {
        if (mapped)
            add_mapped(found, addresses[i].address);
        else
            add(found, family, addresses[i].address, 0);
    }
    return count < 0 ? count : 0;
}

/* Addresses that this machine can reach come first (of RFC 6724's rules the one that matters to a
 * machine with few addresses). */
static int find_by_servers(const char *name, int flags, int family, struct found *found)
{
    const bool ipv4_works = is_configured(NET_IPV4), ipv6_works = is_configured(NET_IPV6);
    bool ask_ipv4 = wants(family, AF_INET), ask_ipv6 = wants(family, AF_INET6);
    int error4 = -ENOENT, error6 = -ENOENT;

    if ((flags & AI_ADDRCONFIG) != 0 && (ipv4_works || ipv6_works)) {
        ask_ipv4 = ask_ipv4 && ipv4_works;
        ask_ipv6 = ask_ipv6 && ipv6_works;
    }
    if (ask_ipv6 && ipv6_works)
        error6 = ask_servers(name, NET_IPV6, false, found);
    if (ask_ipv4)
        error4 = ask_servers(name, NET_IPV4, false, found);
    if (ask_ipv6 && !ipv6_works)
        error6 = ask_servers(name, NET_IPV6, false, found);
    if (family == AF_INET6 && (flags & AI_V4MAPPED) != 0 &&
        (found->count == 0 || (flags & AI_ALL) != 0))
        error4 = ask_servers(name, NET_IPV4, true, found);
    if (found->count != 0)
        return 0;
    if (error4 == -ENOMEM || error6 == -ENOMEM)
        return EAI_MEMORY;
    /* One family's name server may fail while the other's knows of no such name. */
    return (error4 == -ENOENT || error4 == 0) && (error6 == -ENOENT || error6 == 0) ? EAI_NONAME
                                                                                    : EAI_AGAIN;
}

static int find_host(const char *name, int flags, int family, struct found *found)
{
    if (name == NULL) {
        find_unnamed(flags, family, found);
        return 0;
    }
    int error = find_numeric(name, flags, family, found);
    if (error != EAI_NONAME || (flags & AI_NUMERICHOST) != 0)
        return error;
    if (name[0] == '\0')
        return EAI_NONAME;
    if (strcmp(name, net_hostname()) == 0) {
        find_unnamed(0, family, found);
        return 0;
    }
    return find_by_servers(name, flags, family, found);
}

/* --- Services -----------------------------------------------------------------------------------
 */

/* What kinds of socket a result is listed for, if the hints name none. */
static const struct kind {
    int type, protocol;
    const char *name; /* of the protocol; NULL: it has no ports */
} kinds[] = {
    {SOCK_STREAM, IPPROTO_TCP, "tcp"},
    {SOCK_DGRAM, IPPROTO_UDP, "udp"},
    {SOCK_RAW, IPPROTO_IP, NULL},
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool names_kind(const struct addrinfo *hints)
{
    return hints->ai_socktype != 0 || hints->ai_protocol != 0;
}

/* A protocol that has a kind of its own is raw only where that is asked for. */
static bool kind_fits(const struct kind *kind, const struct addrinfo *hints)
{
    if (kind->type == SOCK_RAW && hints->ai_socktype == 0 &&
        (hints->ai_protocol == IPPROTO_TCP || hints->ai_protocol == IPPROTO_UDP))
        return false;
    return (hints->ai_socktype == 0 || hints->ai_socktype == kind->type) &&
           (hints->ai_protocol == 0 || kind->type == SOCK_RAW ||
            hints->ai_protocol == kind->protocol);
}

/* The port of a service for one kind; EAI_SERVICE, EAI_NONAME. */
static int find_port(const char *service, const struct addrinfo *hints, const struct kind *kind,
                     uint16_t *port)
{
    char *end;

    *port = 0;
    if (service == NULL)
        return 0;
    if (kind->name == NULL && names_kind(hints))
        return EAI_SERVICE;
    unsigned long number = strtoul(service, &end, 10);
    if (isdigit((unsigned char)service[0]) && *end == '\0') {
        *port = (uint16_t)number; /* glibc, too, takes it modulo 65536 */
        return 0;
    }
    if ((hints->ai_flags & AI_NUMERICSERV) != 0)
        return EAI_NONAME;
    const struct service *known = kind->name != NULL ? service_by_name(service, kind->name) : NULL;
    if (known == NULL)
        return EAI_SERVICE;
    *port = (uint16_t)known->port;
    return 0;
}

/* --- Results ------------------------------------------------------------------------------------
 */

struct result {
    struct addrinfo info; /* first */
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
};

static struct addrinfo *new_result(const struct net_address *address, uint16_t port,
                                   const struct kind *kind, const struct addrinfo *hints)
{
    struct result *result = calloc(1, sizeof(*result));
    struct net_address with_port = *address;

    if (result == NULL)
        return NULL;
    with_port.port = port;
    result->info.ai_flags = hints->ai_flags;
    result->info.ai_family = address->family == NET_IPV4 ? AF_INET : AF_INET6;
    result->info.ai_socktype = kind->type;
    result->info.ai_protocol = kind->type == SOCK_RAW ? hints->ai_protocol : kind->protocol;
    result->info.ai_addrlen =
        socket_address_out(&with_port, &result->address, sizeof(result->address));
    result->info.ai_addr = (struct sockaddr *)&result->address;
    return &result->info;
}

static int list_results(const struct found *found, const char *service,
                        const struct addrinfo *hints, struct addrinfo **list)
{
    struct addrinfo **last = list;
    int error = names_kind(hints) ? EAI_SOCKTYPE : EAI_SERVICE;

    for (unsigned i = 0; i < found->count; i++) {
        for (const struct kind *kind = kinds; kind < kinds + NR_KINDS; kind++) {
            uint16_t port;
            if (!kind_fits(kind, hints))
                continue;
            int port_error = find_port(service, hints, kind, &port);
            if (port_error != 0) {
                error = port_error;
                continue;
            }
            *last = new_result(&found->addresses[i], port, kind, hints);
            if (*last == NULL)
                return EAI_MEMORY;
            last = &(*last)->ai_next;
        }
    }
    return *list != NULL ? 0 : error;
}

static int check_hints(const char *name, const char *service, const struct addrinfo *hints)
{
    if (name == NULL && service == NULL)
        return EAI_NONAME;
    if ((hints->ai_flags & ~KNOWN_FLAGS) != 0 ||
        ((hints->ai_flags & AI_CANONNAME) != 0 && name == NULL))
        return EAI_BADFLAGS;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET &&
        hints->ai_family != AF_INET6)
        return EAI_FAMILY;
    return 0;
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    const struct addrinfo no_hints = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
    struct found found = {0};
    struct addrinfo *results = NULL;

    if (hints == NULL)
        hints = &no_hints;
    int error = check_hints(name, service, hints);
    if (error == 0)
        error = find_host(name, hints->ai_flags, hints->ai_family, &found);
    if (error == 0)
        error = list_results(&found, service, hints, &results);
    if (error == 0 && (hints->ai_flags & AI_CANONNAME) != 0 &&
        (results->ai_canonname = strdup(name)) == NULL)
        error = EAI_MEMORY;
    if (error != 0)
        freeaddrinfo(results);
    else
        *list = results;
    return error;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_canonname);
        free(list);
        list = next;
    }
}

const char *gai_strerror(int error)
{
    switch (error) {
    case 0:
        return "Success";
    case EAI_BADFLAGS:
        return "Bad value for ai_flags";
    case EAI_NONAME:
        return "Name or service not known";
    case EAI_AGAIN:
        return "Temporary failure in name resolution";
    case EAI_FAIL:
        return "Non-recoverable failure in name resolution";
    case EAI_NODATA:
        return "No address associated with hostname";
    case EAI_FAMILY:
        return "ai_family not supported";
    case EAI_SOCKTYPE:
        return "ai_socktype not supported";
    case EAI_SERVICE:
        return "Servname not supported for ai_socktype";
    case EAI_ADDRFAMILY:
        return "Address family for hostname not supported";
    case EAI_MEMORY:
        return "Memory allocation failure";
    case EAI_SYSTEM:
        return "System error";
    case EAI_OVERFLOW:
        return "Argument buffer overflow";
    default:
        return "Unknown error";
    }
}

/* --- From addresses to names
 * ---------------------------------------------------------------------- */

static int put_text(const char *text, char *to, socklen_t room)
{
    if (strlen(text) >= room)
        return EAI_OVERFLOW;
    strcpy(to, text);
    return 0;
}

static bool is_loopback(const struct net_address *address)
{
    return address->family == NET_IPV4 ? address->address[0] == 127
                                       : memcmp(address->address, &in6addr_loopback, 16) == 0;
}

static int name_of_host(const struct net_address *address, int flags, char *to, socklen_t room)
{
    const int family = address->family == NET_IPV4 ? AF_INET : AF_INET6;
    char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], scope[IF_NAMESIZE];

    if ((flags & NI_NUMERICHOST) == 0 && is_loopback(address))
        return put_text("localhost", to, room);
    if ((flags & NI_NAMEREQD) != 0) /* no server is asked for names */
        return EAI_NONAME;
    inet_ntop(family, address->address, text, INET6_ADDRSTRLEN);
    if (address->interface != 0) {
        if (if_indextoname(address->interface, scope) == NULL)
            snprintf(scope, sizeof(scope), "%u", (unsigned)address->interface);
        strcat(strcat(text, "%"), scope);
    }
    return put_text(text, to, room);
}

static int name_of_service(uint16_t port, int flags, char *to, socklen_t room)
{
    char text[8];
    const struct service *service =
        (flags & NI_NUMERICSERV) != 0
            ? NULL
            : service_by_port(port, (flags & NI_DGRAM) != 0 ? "udp" : "tcp");

    if (service != NULL)
        return put_text(service->name, to, room);
    snprintf(text, sizeof(text), "%u", port);
    return put_text(text, to, room);
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t address_bytes,
                char *restrict name, socklen_t name_bytes, char *restrict service,
                socklen_t service_bytes, int flags)
{
    struct net_address from;
    int error = 0;

    if ((flags & ~(NI_NUMERICHOST | NI_NUMERICSERV | NI_NOFQDN | NI_NAMEREQD | NI_DGRAM)) != 0)
        return EAI_BADFLAGS;
    if (address_bytes < sizeof(address->sa_family) ||
        (address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        socket_address_in(address->sa_family, address, address_bytes, &from) != 0)
        return EAI_FAMILY;
    if ((flags & NI_NAMEREQD) != 0 && name == NULL && service == NULL)
        return EAI_NONAME;
    if (name != NULL && name_bytes != 0)
        error = name_of_host(&from, flags, name, name_bytes);
    if (error == 0 && service != NULL && service_bytes != 0)
        error = name_of_service(from.port, flags, service, service_bytes);
    return error;
}
