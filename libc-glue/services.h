/*
 * Names of services and protocols: there is no /etc/services, but the commonest are known.
 */
#ifndef LIBC_GLUE_SERVICES_H
#define LIBC_GLUE_SERVICES_H

struct service {
    const char *name;
    int port;             /* host byte order */
    const char *protocol; /* "tcp" or "udp"; NULL: both */
};

/* protocol NULL: any. NULL: not known. */
const struct service *service_by_name(const char *name, const char *protocol);
const struct service *service_by_port(int port, const char *protocol);

#endif
