/*
 * What an Ethernet frame that lwIP made holds, as far as a device's offloads need it. Private to
 * net/.
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include <stdbool.h>
#include <stdint.h>

struct pbuf;

struct packet {
    uint8_t *frame; /* all headers are in one piece */
    bool is_ipv6;
    uint8_t protocol;  /* TCP or UDP, whole (no fragment); 0: anything else */
    uint16_t ip_start; /* where the headers begin, in the frame */
    uint16_t layer4_start;
    uint16_t payload_start; /* TCP only */
    uint16_t bytes;         /* of the IP packet with its Ethernet header, no padding */
};

void packet_parse(const struct pbuf *p, struct packet *out);

/* Writes the sum of the pseudo-header, over layer4_bytes, into the checksum field (RFC 9293, 3.1;
 * RFC 8200, 8.1): the device adds the rest. Returns the field's offset in its header. */
uint16_t packet_prepare_checksum(const struct packet *packet, unsigned layer4_bytes);

#endif
