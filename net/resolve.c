/*
 * Names to addresses, by lwIP's resolver.
 *
 * Callers: libc-glue, in threads. Lock: net_lock. lwIP remembers answers as long as they last; a
 * question whose asker went away when its time was over lives on until it is answered.
 */
#include <errno.h>
#include <string.h>

#include <lwip/dns.h>

#include "net/core.h"
#include "net/memory.h"
#include "net/net.h"

struct question {
    struct cond answered;
    bool is_done, is_abandoned;
    bool found;
    ip_addr_t address;
};

static void on_answer(const char *name, const ip_addr_t *address, void *arg)
{
    struct question *q = arg;

    (void)name;
    if (q->is_abandoned) {
        net_memory_free(q);
        return;
    }
    q->found = address != NULL;
    if (address)
        q->address = *address;
    q->is_done = true;
    cond_broadcast(&q->answered);
}

static void to_address(const ip_addr_t *ip, struct net_address *out)
{
    memset(out, 0, sizeof(*out));
    out->family = IP_IS_V4_VAL(*ip) ? NET_IPV4 : NET_IPV6;
    if (IP_IS_V4_VAL(*ip)) {
        memcpy(out->address, &ip_2_ip4(ip)->addr, 4);
    } else {
        memcpy(out->address, ip_2_ip6(ip)->addr, 16);
        out->interface = ip6_addr_zone(ip_2_ip6(ip));
    }
}

/* RFC 6761, 6.3: no server is asked for these. */
static bool is_localhost(const char *name)
{
    size_t length = strlen(name);

    if (length > 0 && name[length - 1] == '.')
        length--;
    return (length == 9 && strncasecmp(name, "localhost", 9) == 0) ||
           (length > 10 && strncasecmp(name + length - 10, ".localhost", 10) == 0);
}

static bool has_server(void)
{
    for (u8_t i = 0; i < DNS_MAX_SERVERS; i++) {
        if (!ip_addr_isany(dns_getserver(i)))
            return true;
    }
    return false;
}

/* net_lock held; gives it up to wait. */
static int ask(const char *name, u8_t type, ip_addr_t *out, uint64_t deadline_ns)
{
    struct question *q = net_memory_alloc_zeroed(1, sizeof(*q));

    if (!q)
        return -ENOMEM;
    err_t error = dns_gethostbyname_addrtype(name, out, on_answer, q, type);
    if (error != ERR_INPROGRESS) {
        net_memory_free(q);
        return error == ERR_OK    ? 0
               : error == ERR_MEM ? -ENOMEM
               : error == ERR_VAL ? -ENETUNREACH
                                  : -ENOENT;
    }
    while (!q->is_done) {
        if (net_wait(&q->answered, deadline_ns)) {
            q->is_abandoned = true;
            return -EAGAIN;
        }
    }
    bool found = q->found;
    *out = q->address;
    net_memory_free(q);
    return found ? 0 : -ENOENT;
}

int net_resolve(const char *name, enum net_family family, struct net_address *out, unsigned max,
                uint64_t deadline_ns)
{
    ip_addr_t ip;
    int error;

    if (max == 0)
        return 0;
    if (is_localhost(name)) {
        ip_addr_set_loopback_val(family == NET_IPV6, ip);
        to_address(&ip, out);
        return 1;
    }
    net_lock();
    if (ipaddr_aton(name, &ip))
        error = IP_IS_V6_VAL(ip) == (family == NET_IPV6) ? 0 : -ENOENT;
    else if (!has_server())
        error = -ENETUNREACH;
    else
        error = ask(name, family == NET_IPV6 ? LWIP_DNS_ADDRTYPE_IPV6 : LWIP_DNS_ADDRTYPE_IPV4, &ip,
                    deadline_ns);
    net_unlock();
    if (error)
        return error;
    to_address(&ip, out);
    return 1;
}
