/*
 * The Internet checksum's sum, for lwIP (LWIP_CHKSUM, net/arch/cc.h) and for net/packet.c. A pure
 * function. Eight bytes at a time, as RFC 1071, 2(C) has it: the sum of larger words folds into
 * that of smaller ones.
 */
#include "net/checksum.h"

#include <string.h>

/* One's complement: what is carried out comes in again. */
static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? sum + 1 : sum;
}

uint16_t net_checksum(const void *data, int bytes)
{
    const uint8_t *at = data;
    uint64_t sum = 0, last = 0;

    for (; bytes >= 8; at += 8, bytes -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        sum = add(sum, word);
    }
    if (bytes & 4) {
        uint32_t word;
        memcpy(&word, at, sizeof(word));
        sum = add(sum, word);
        at += 4;
    }
    for (int i = 0; i < (bytes & 3); i++) /* zeroes behind the last byte (RFC 1071, 1) */
        last |= (uint64_t)at[i] << 8 * i;
    sum = add(sum, last);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
