/*
 * The Internet checksum's sum (RFC 1071). Private to net/.
 */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include <stdint.h>

/* The one's complement sum of 16-bit words as they lie in memory, from any address on; the checksum
 * is its complement. */
uint16_t net_checksum(const void *data, int bytes);

#endif
