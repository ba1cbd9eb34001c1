/*
 * Addresses of AF_UNIX sockets, for programs that know them: there are pairs (socketpair), which
 * have none.
 */
#ifndef _SYS_UN_H
#define _SYS_UN_H

#include <sys/socket.h>

struct sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};

#endif
