/*
 * Compiler and C library of lwIP's unit tests (net/arch/cc.h is the network's own).
 */
#ifndef TESTS_LWIP_ARCH_CC_H
#define TESTS_LWIP_ARCH_CC_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_TIMEVAL_PRIVATE 0

unsigned int lwip_port_rand(void); /* test/unit/lwip_unittests.c */
#define LWIP_RAND() ((u32_t)lwip_port_rand())

/* The tests provoke assertions. */
#define LWIP_PLATFORM_DIAG(x)                                                                      \
    do {                                                                                           \
        printf x;                                                                                  \
    } while (0)
#define LWIP_PLATFORM_ASSERT(x)                                                                    \
    do {                                                                                           \
        printf("lwIP: %s (%s:%d)\n", x, __FILE__, __LINE__);                                       \
        abort();                                                                                   \
    } while (0)

#endif
