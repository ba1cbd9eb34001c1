/*
 * Addresses of sockets: struct sockaddr of the application, struct net_address of the network.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "libc-glue/socket.h"

/* RFC 2133 had no sin6_scope_id; Linux still takes such an address. */
#define IPV6_MIN_BYTES offsetof(struct sockaddr_in6, sin6_scope_id)

int socket_address_in(int family, const struct sockaddr *address, socklen_t bytes,
                      struct net_address *out)
{
    if (bytes < sizeof(address->sa_family))
        return -EINVAL;
    memset(out, 0, sizeof(*out));
    if (address->sa_family != family)
        return -EAFNOSUPPORT;
    if (family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        if (bytes < sizeof(*in))
            return -EINVAL;
        out->family = NET_IPV4;
        out->port = ntohs(in->sin_port);
        memcpy(out->address, &in->sin_addr, sizeof(in->sin_addr));
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        if (bytes < IPV6_MIN_BYTES)
            return -EINVAL;
        out->family = NET_IPV6;
        out->port = ntohs(in6->sin6_port);
        out->interface = bytes < sizeof(*in6) ? 0 : in6->sin6_scope_id;
        memcpy(out->address, &in6->sin6_addr, sizeof(in6->sin6_addr));
    }
    return 0;
}

socklen_t socket_address_out(const struct net_address *address, void *to, socklen_t room)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } all = {0};
    socklen_t bytes;

    if (address->family == NET_IPV4) {
        all.in.sin_family = AF_INET;
        all.in.sin_port = htons(address->port);
        memcpy(&all.in.sin_addr, address->address, sizeof(all.in.sin_addr));
        bytes = sizeof(all.in);
    } else {
        all.in6.sin6_family = AF_INET6;
        all.in6.sin6_port = htons(address->port);
        all.in6.sin6_scope_id = address->interface;
        memcpy(&all.in6.sin6_addr, address->address, sizeof(all.in6.sin6_addr));
        bytes = sizeof(all.in6);
    }
    memcpy(to, &all, room < bytes ? room : bytes);
    return bytes;
}

int socket_address_return_unnamed(struct sockaddr *to, socklen_t *bytes)
{
    const sa_family_t family = AF_UNIX;

    if (bytes == NULL)
        return -EFAULT;
    if (*bytes > INT32_MAX)
        return -EINVAL;
    memcpy(to, &family, *bytes < sizeof(family) ? *bytes : sizeof(family));
    *bytes = sizeof(family);
    return 0;
}

int socket_address_return(const struct net_address *address, struct sockaddr *to, socklen_t *bytes)
{
    if (to == NULL)
        return 0;
    if (bytes == NULL)
        return -EFAULT;
    if (*bytes > INT32_MAX)
        return -EINVAL;
    *bytes = socket_address_out(address, to, *bytes);
    return 0;
}
