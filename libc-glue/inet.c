/*
 * Internet addresses as text, and byte order.
 *
 * Ordinary calls from threads. Source: POSIX.1-2017 inet_ntop, inet_addr; RFC 4291, 2.2; RFC
 * 5952, 4.
 */
#include <arpa/inet.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT;
const struct in6_addr in6addr_loopback = IN6ADDR_LOOPBACK_INIT;

uint32_t(htonl)(uint32_t host)
{
    return htonl(host);
}

uint16_t(htons)(uint16_t host)
{
    return htons(host);
}

uint32_t(ntohl)(uint32_t network)
{
    return ntohl(network);
}

uint16_t(ntohs)(uint16_t network)
{
    return ntohs(network);
}

/* --- Text to address -------------------------------------------------------------------------- */

/* Four decimal numbers, without leading zeros: octal and hexadecimal are inet_aton's. */
static bool parse_ipv4(const char *text, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        while (isdigit((unsigned char)*text)) {
            if (digits != 0 && value == 0)
                return false;
            value = value * 10 + (unsigned)(*text++ - '0');
            digits++;
            if (value > 255)
                return false;
        }
        if (digits == 0 || *text != (i < 3 ? '.' : '\0'))
            return false;
        out[i] = (uint8_t)value;
        text++;
    }
    return true;
}

static int digit(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to four hexadecimal digits. */
static bool parse_group(const char **text, uint8_t out[2])
{
    unsigned value = 0, digits = 0;

    for (; digit(**text) >= 0; (*text)++) {
        value = value << 4 | (unsigned)digit(**text);
        if (++digits > 4)
            return false;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits != 0;
}

/* Groups and an optional IPv4 tail; "::" once, for at least one group of zeros. */
static bool parse_ipv6(const char *text, uint8_t out[16])
{
    uint8_t bytes[16] = {0};
    int used = 0, gap = -1;

    if (text[0] == ':' && text[1] != ':')
        return false;
    if (text[0] == ':')
        text++; /* the second one begins the gap below */
    while (*text != '\0') {
        if (*text == ':') { /* behind a group's own colon */
            if (gap >= 0)
                return false;
            gap = used;
            text++;
            continue;
        }
        if (used <= 12 && parse_ipv4(text, bytes + used)) {
            used += 4;
            break;
        }
        if (used == 16 || !parse_group(&text, bytes + used))
            return false;
        used += 2;
        if (*text == ':' && text[1] == '\0')
            return false;
        if (*text == ':')
            text++;
        else if (*text != '\0')
            return false;
    }
    if (gap < 0 ? used != 16 : used == 16)
        return false;
    if (gap >= 0) {
        memmove(bytes + 16 - (used - gap), bytes + gap, (size_t)(used - gap));
        memset(bytes + gap, 0, (size_t)(16 - used));
    }
    memcpy(out, bytes, sizeof(bytes));
    return true;
}

int inet_pton(int family, const char *restrict text, void *restrict address)
{
    uint8_t bytes[16];

    if (family != AF_INET && family != AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    if (!(family == AF_INET ? parse_ipv4(text, bytes) : parse_ipv6(text, bytes)))
        return 0;
    memcpy(address, bytes, family == AF_INET ? 4 : 16);
    return 1;
}

/* One to four numbers, decimal, octal or hexadecimal; the last one fills what is left. */
int inet_aton(const char *text, struct in_addr *address)
{
    uint32_t value = 0;

    for (int i = 0;; i++) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return 0;
        unsigned long part = strtoul(text, &end, 0);
        if (*end == '.' && i < 3) {
            if (part > 255)
                return 0;
            value |= (uint32_t)part << (24 - 8 * i);
            text = end + 1;
            continue;
        }
        if ((*end != '\0' && !isspace((unsigned char)*end)) || part > UINT32_MAX >> 8 * i)
            return 0;
        if (address != NULL)
            address->s_addr = htonl(value | (uint32_t)part);
        return 1;
    }
}

in_addr_t inet_addr(const char *text)
{
    struct in_addr address;

    return inet_aton(text, &address) ? address.s_addr : INADDR_NONE;
}

in_addr_t inet_network(const char *text)
{
    struct in_addr address;

    return inet_aton(text, &address) ? ntohl(address.s_addr) : INADDR_NONE;
}

/* --- Address to text -------------------------------------------------------------------------- */

static void format_ipv4(const uint8_t *bytes, char *text)
{
    sprintf(text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
}

static unsigned group(const uint8_t *bytes, int i)
{
    return (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2). */
static int longest_zeros(const uint8_t *bytes, int groups, int *out_length)
{
    int best = -1, run = 0;

    *out_length = 1;
    for (int i = 0; i < groups; i++) {
        run = group(bytes, i) == 0 ? run + 1 : 0;
        if (run > *out_length) {
            *out_length = run;
            best = i - run + 1;
        }
    }
    return best;
}

static void format_ipv6(const uint8_t *bytes, char *text)
{
    static const uint8_t zeros[12], mapped[12] = {[10] = 0xff, [11] = 0xff};
    /* ::ffff:a.b.c.d, and ::a.b.c.d unless it is a small number */
    bool has_tail =
        memcmp(bytes, mapped, 12) == 0 || (memcmp(bytes, zeros, 12) == 0 && group(bytes, 6) != 0);
    int groups = has_tail ? 6 : 8, length;
    int gap = longest_zeros(bytes, groups, &length);

    for (int i = 0; i < groups; i++) {
        if (i == gap) {
            text += sprintf(text, i + length == groups ? "::" : ":");
            i += length - 1;
        } else {
            text += sprintf(text, i == 0 ? "%x" : ":%x", group(bytes, i));
        }
    }
    if (has_tail) {
        if (text[-1] != ':')
            *text++ = ':';
        format_ipv4(bytes + 12, text);
    }
}

const char *inet_ntop(int family, const void *restrict address, char *restrict text,
                      socklen_t bytes)
{
    char buffer[INET6_ADDRSTRLEN];

    if (family == AF_INET) {
        format_ipv4(address, buffer);
    } else if (family == AF_INET6) {
        format_ipv6(address, buffer);
    } else {
        errno = EAFNOSUPPORT;
        return NULL;
    }
    if (strlen(buffer) >= bytes) {
        errno = ENOSPC;
        return NULL;
    }
    return strcpy(text, buffer);
}

char *inet_ntoa(struct in_addr address)
{
    static _Thread_local char text[INET_ADDRSTRLEN];

    format_ipv4((const uint8_t *)&address, text);
    return text;
}

/* --- Classes of addresses, of before 1993
 * --------------------------------------------------------- */

static unsigned host_bits(in_addr_t address)
{
    return IN_CLASSA(address) ? 24 : IN_CLASSB(address) ? 16 : 8;
}

struct in_addr inet_makeaddr(in_addr_t network, in_addr_t host)
{
    unsigned bits = network < 128 ? 24 : network < 65536 ? 16 : network < 1u << 24 ? 8 : 0;
    in_addr_t mask = bits != 0 ? (1u << bits) - 1 : 0;

    return (struct in_addr){htonl(network << bits | (host & mask))};
}

in_addr_t inet_lnaof(struct in_addr address)
{
    in_addr_t host = ntohl(address.s_addr);

    return host & ((1u << host_bits(host)) - 1);
}

in_addr_t inet_netof(struct in_addr address)
{
    in_addr_t host = ntohl(address.s_addr);

    return host >> host_bits(host);
}
