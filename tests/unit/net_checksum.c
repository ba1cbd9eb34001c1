/*
 * net/checksum.c against the sum as RFC 1071, 4.1 writes it, for all lengths and alignments that
 * its loops tell apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.c"

/* In memory order, as net_checksum has it on a little-endian machine. */
static uint16_t plain(const uint8_t *at, int bytes)
{
    uint32_t sum = 0;

    for (; bytes > 1; at += 2, bytes -= 2)
        sum += at[0] | (uint32_t)at[1] << 8;
    if (bytes > 0)
        sum += at[0];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

int main(void)
{
    /* RFC 1071, 3 */
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    static uint8_t data[2048];

    if (net_checksum(example, sizeof(example)) != 0xf2dd) {
        printf("the example of RFC 1071\n");
        return 1;
    }
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < sizeof(data); i++)
            data[i] = round == 0 ? 0xff : round == 1 ? 0 : (uint8_t)rand();
        for (int start = 0; start < 8; start++)
            for (int bytes = 0; bytes < 2000; bytes++)
                if (net_checksum(data + start, bytes) != plain(data + start, bytes)) {
                    printf("%d bytes from %d on\n", bytes, start);
                    return 1;
                }
    }
    return 0;
}
