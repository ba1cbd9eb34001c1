/*
 * lwIP's view of compiler and C library (lwip/arch.h names what may be set here).
 */
#ifndef NET_ARCH_CC_H
#define NET_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* newlib has ssize_t, but not the macro that lwIP takes as the sign of it. */
#include <limits.h>
#include <sys/types.h>
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

#define LWIP_ERRNO_STDINCLUDE 1

/* Instead of functions of lwIP's. */
#define lwip_htons(n) __builtin_bswap16(n)
#define lwip_htonl(n) __builtin_bswap32(n)
#include "net/checksum.h"
#define LWIP_CHKSUM net_checksum

/* net/random.c */
uint32_t net_random(void);
#define LWIP_RAND() net_random()

/* net/core.c: panics. lwIP asserts what it relies on inside; input is checked by other means. */
_Noreturn void net_assertion_failed(const char *what, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(what) net_assertion_failed(what, __FILE__, __LINE__)
#define LWIP_PLATFORM_DIAG(what)                                                                   \
    do {                                                                                           \
    } while (0)

#endif
