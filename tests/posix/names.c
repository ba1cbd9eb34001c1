/*
 * Addresses and names as text: what needs no name server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/posix/loopback.h"

TEST(names_ipv6_text, "IPv6 addresses go to text and back in the shortest form.")
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"0001:0:0:0:0:0:0:000a", "1::a"},
        {"1:0:0:4:0:0:0:8", "1:0:0:4::8"},
        {"1:0:0:4:5:0:0:8", "1::4:5:0:0:8"},
        {"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
        {"0:0:3::", "0:0:3::"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"FE80::ABCD", "fe80::abcd"},
        {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
        {"::1.2.3.4", "::1.2.3.4"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"", NULL},
        {":", NULL},
        {":::", NULL},
        {"1", NULL},
        {"1:", NULL},
        {":1", NULL},
        {"::1::", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"1:2:3:4::5:6:7:8", NULL},
        {"12345::", NULL},
        {"g::", NULL},
        {"::1.2.3", NULL},
        {"::1.2.3.4:5", NULL},
        {"::1.2.3.256", NULL},
        {"1:2:3:4:5:6:7:1.2.3.4", NULL},
        {"fe80::1%1", NULL},
        {" ::1", NULL},
        {"::1 ", NULL},
    };
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int result = inet_pton(AF_INET6, cases[i].in, &address);
        if (result != (cases[i].out != NULL))
            FAIL("inet_pton(\"%s\"): %d", cases[i].in, result);
        else if (result == 1 && (inet_ntop(AF_INET6, &address, text, sizeof(text)) == NULL ||
                                 strcmp(text, cases[i].out) != 0))
            FAIL("\"%s\" became \"%s\" instead of \"%s\"", cases[i].in, text, cases[i].out);
    }
    CHECK_FAILS(inet_pton(77, "::", &address), EAFNOSUPPORT);
    errno = 0;
    CHECK(inet_ntop(AF_INET6, &in6addr_loopback, text, 3) == NULL && errno == ENOSPC);
    CHECK(inet_ntop(AF_INET6, &in6addr_loopback, text, 4) == text);
    errno = 0;
    CHECK(inet_ntop(77, &in6addr_loopback, text, 4) == NULL && errno == EAFNOSUPPORT);
}

TEST(names_ipv4_text, "IPv4 addresses: inet_pton is strict, inet_aton takes the old forms.")
{
    static const char *const bad[] = {"",         "1.2.3",    "1.2.3.4.5", "1.2.3.256",
                                      "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",  "1..3.4",
                                      "a.b.c.d",  "1.2.3.-4", "0x1.2.3.4", "1.2.3.4."};
    static const struct {
        const char *in;
        uint32_t out;
    } old[] = {{"1.2.3.4", 0x01020304},  {"1.2.3", 0x01020003},      {"1.2", 0x01000002},
               {"16909060", 0x01020304}, {"0x7f.1", 0x7f000001},     {"010.0.0.1", 0x08000001},
               {"1.65535", 0x0100ffff},  {"0xffffffff", 0xffffffff}, {"1.2.3.4 x", 0x01020304}};
    static const char *const not_even_old[] = {
        "", "1.2.3.256", "1.2.65536", "256.1", "4294967296", "1.2.3.4.5", "a", "1.2.3.4x", "1."};
    struct in_addr address;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (inet_pton(AF_INET, bad[i], &address) != 0)
            FAIL("inet_pton takes \"%s\"", bad[i]);
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        if (!inet_aton(old[i].in, &address) || ntohl(address.s_addr) != old[i].out)
            FAIL("inet_aton(\"%s\"): 0x%x", old[i].in, (unsigned)ntohl(address.s_addr));
    for (size_t i = 0; i < sizeof(not_even_old) / sizeof(not_even_old[0]); i++)
        if (inet_aton(not_even_old[i], &address))
            FAIL("inet_aton takes \"%s\"", not_even_old[i]);
    CHECK_EQ(inet_pton(AF_INET, "192.0.2.1", &address), 1);
    CHECK_EQ(ntohl(address.s_addr), 0xc0000201);
    CHECK_OK(strcmp(inet_ntoa(address), "192.0.2.1"));
    CHECK_EQ(inet_addr("127.0.0.1"), htonl(INADDR_LOOPBACK));
    CHECK_EQ(inet_addr("x"), INADDR_NONE);
    CHECK_EQ(htons(0x1234), 0x3412);
    CHECK_EQ(ntohl(0x12345678), 0x78563412);
}

/* The results of a look-up as one text: "family/type/protocol address port;..." */
static const char *looked_up(const char *name, const char *service, int flags, int family, int type)
{
    static char all[2048];
    struct addrinfo hints = {.ai_flags = flags, .ai_family = family, .ai_socktype = type};
    struct addrinfo *list = NULL;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    size_t used = 0;
    int error = getaddrinfo(name, service, &hints, &list);

    if (error != 0) {
        snprintf(all, sizeof(all), "%s", gai_strerror(error));
        return all;
    }
    all[0] = '\0';
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        CHECK_OK(getnameinfo(i->ai_addr, i->ai_addrlen, host, sizeof(host), port, sizeof(port),
                             NI_NUMERICHOST | NI_NUMERICSERV));
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%d/%d/%d %s %s;",
                                 i->ai_family == AF_INET ? 4 : 6, i->ai_socktype, i->ai_protocol,
                                 host, port);
    }
    freeaddrinfo(list);
    return all;
}

#define CHECK_TEXT(call, expected)                                                                 \
    do {                                                                                           \
        const char *text_ = call;                                                                  \
        if (strcmp(text_, expected) != 0)                                                          \
            FAIL("%s: \"%s\"", #call, text_);                                                      \
    } while (0)

TEST(names_getaddrinfo,
     "getaddrinfo lists addresses for each kind of socket, or says what is wrong.")
{
    CHECK_TEXT(looked_up("127.0.0.1", "80", 0, AF_UNSPEC, SOCK_STREAM), "4/1/6 127.0.0.1 80;");
    CHECK_TEXT(looked_up("127.0.0.1", NULL, 0, AF_UNSPEC, 0),
               "4/1/6 127.0.0.1 0;4/2/17 127.0.0.1 0;4/3/0 127.0.0.1 0;");
    CHECK_TEXT(looked_up("::1", "http", 0, AF_UNSPEC, SOCK_STREAM), "6/1/6 ::1 80;");
    CHECK_TEXT(looked_up("1.2.3.4", "domain", 0, AF_INET, SOCK_DGRAM), "4/2/17 1.2.3.4 53;");
    CHECK_TEXT(looked_up("1.2.3.4", NULL, AI_V4MAPPED, AF_INET6, SOCK_STREAM),
               "6/1/6 ::ffff:1.2.3.4 0;");
    CHECK_TEXT(looked_up(NULL, "8080", AI_PASSIVE, AF_INET, SOCK_STREAM), "4/1/6 0.0.0.0 8080;");
    CHECK_TEXT(looked_up(NULL, "8080", AI_PASSIVE, AF_INET6, SOCK_STREAM), "6/1/6 :: 8080;");
    CHECK_TEXT(looked_up(NULL, "8080", AI_PASSIVE, AF_UNSPEC, SOCK_STREAM),
               "4/1/6 0.0.0.0 8080;6/1/6 :: 8080;");
    CHECK_TEXT(looked_up(NULL, "1", 0, AF_UNSPEC, SOCK_STREAM), "6/1/6 ::1 1;4/1/6 127.0.0.1 1;");
    CHECK_TEXT(looked_up("localhost", "1", 0, AF_INET, SOCK_STREAM), "4/1/6 127.0.0.1 1;");
    CHECK_TEXT(looked_up("1.2.3.4", NULL, 0, AF_INET6, SOCK_STREAM),
               "Address family for hostname not supported");
    CHECK_TEXT(looked_up("::1", NULL, 0, AF_INET, SOCK_STREAM),
               "Address family for hostname not supported");
    CHECK_TEXT(looked_up("localhost", NULL, AI_NUMERICHOST, AF_UNSPEC, 0),
               "Name or service not known");
    CHECK_TEXT(looked_up("127.0.0.1", "http", AI_NUMERICSERV, AF_UNSPEC, 0),
               "Name or service not known");
    CHECK_TEXT(looked_up("127.0.0.1", "nonesuch", 0, AF_UNSPEC, SOCK_STREAM),
               "Servname not supported for ai_socktype");
    CHECK_TEXT(looked_up(NULL, NULL, 0, AF_UNSPEC, 0), "Name or service not known");
    CHECK_TEXT(looked_up("127.0.0.1", NULL, 1 << 20, AF_UNSPEC, 0), "Bad value for ai_flags");
    CHECK_TEXT(looked_up("127.0.0.1", NULL, 0, 77, 0), "ai_family not supported");
    CHECK_TEXT(looked_up("127.0.0.1", NULL, 0, AF_UNSPEC, 77), "ai_socktype not supported");
}

TEST(names_getnameinfo, "getnameinfo writes what fits, and says what does not.")
{
    union address address = loopback(AF_INET, 80);
    char host[64], service[16];

    CHECK_OK(getnameinfo(&address.any, sizeof(address.in), host, sizeof(host), service,
                         sizeof(service), NI_NUMERICHOST));
    CHECK_TEXT(host, "127.0.0.1");
    CHECK_TEXT(service, "http");
    CHECK_EQ(getnameinfo(&address.any, sizeof(address.in), host, 4, NULL, 0, NI_NUMERICHOST),
             EAI_OVERFLOW);
    CHECK_EQ(getnameinfo(&address.any, 3, host, sizeof(host), NULL, 0, 0), EAI_FAMILY);
    CHECK_EQ(getnameinfo(&address.any, sizeof(address.in), NULL, 0, NULL, 0, NI_NAMEREQD),
             EAI_NONAME);
    CHECK_OK(getnameinfo(&address.any, sizeof(address.in), host, sizeof(host), NULL, 0, 0));
    CHECK_TEXT(host, "localhost");
}

TEST(names_hostent, "gethostbyname and its like find numbers, localhost, services and protocols.")
{
    struct hostent *host = gethostbyname("10.1.2.3");
    struct servent *service;
    char name[256];

    REQUIRE(host != NULL);
    CHECK_EQ(host->h_addrtype, AF_INET);
    CHECK_EQ(host->h_length, 4);
    CHECK_OK(memcmp(host->h_addr, "\x0a\x01\x02\x03", 4));
    REQUIRE((host = gethostbyname("localhost")) != NULL);
    CHECK_OK(memcmp(host->h_addr, "\x7f\0\0\1", 4));
    REQUIRE((service = getservbyname("http", "tcp")) != NULL);
    CHECK_EQ(service->s_port, htons(80));
    REQUIRE((service = getservbyport(htons(22), "tcp")) != NULL);
    CHECK_TEXT(service->s_name, "ssh");
    CHECK(getservbyname("nonesuch", NULL) == NULL);
    REQUIRE(getprotobyname("tcp") != NULL);
    CHECK_EQ(getprotobyname("tcp")->p_proto, 6);
    CHECK_OK(gethostname(name, sizeof(name)));
    CHECK_GE(strlen(name), 1);
    CHECK_FAILS(gethostname(name, 1), ENAMETOOLONG);
}

TEST(names_interfaces, "lo is there by name and index, with its addresses.")
{
    unsigned index = if_nametoindex("lo");
    char name[IF_NAMESIZE];
    struct ifaddrs *list = NULL;
    int found = 0;

    CHECK_NE(index, 0);
    CHECK(if_indextoname(index, name) == name);
    CHECK_TEXT(name, "lo");
    errno = 0;
    CHECK(if_nametoindex("none") == 0 && errno == ENODEV);
    errno = 0;
    CHECK(if_indextoname(99999, name) == NULL && errno == ENXIO);
    struct if_nameindex *all = if_nameindex();
    REQUIRE(all != NULL);
    for (struct if_nameindex *i = all; i->if_index != 0; i++)
        found += i->if_index == index && strcmp(i->if_name, "lo") == 0;
    CHECK_EQ(found, 1);
    if_freenameindex(all);
    CHECK_OK(getifaddrs(&list));
    found = 0;
    for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") != 0 || i->ifa_addr == NULL)
            continue;
        CHECK_EQ(i->ifa_flags & (IFF_LOOPBACK | IFF_UP), IFF_LOOPBACK | IFF_UP);
        if (i->ifa_addr->sa_family == AF_INET) {
            found++;
            CHECK_EQ(((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
            CHECK_EQ(((struct sockaddr_in *)i->ifa_netmask)->sin_addr.s_addr, htonl(0xff000000));
        }
    }
    CHECK_EQ(found, 1);
    freeifaddrs(list);
}

TEST(names_kinds, "getaddrinfo lists the kinds of socket that its hints allow.")
{
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW};
    static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    enum { STREAM = 1, DGRAM = 2, RAW = 4 };
    static const int expected[2][4][4] = {
        /* without a service, by protocol and type; negative: the error */
        {{STREAM | DGRAM | RAW, STREAM, DGRAM, RAW},
         {STREAM, STREAM, EAI_SOCKTYPE, RAW},
         {DGRAM, EAI_SOCKTYPE, DGRAM, RAW},
         {RAW, EAI_SOCKTYPE, EAI_SOCKTYPE, RAW}},
        /* with a port */
        {{STREAM | DGRAM | RAW, STREAM, DGRAM, EAI_SERVICE},
         {STREAM, STREAM, EAI_SOCKTYPE, EAI_SERVICE},
         {DGRAM, EAI_SOCKTYPE, DGRAM, EAI_SERVICE},
         {EAI_SERVICE, EAI_SOCKTYPE, EAI_SOCKTYPE, EAI_SERVICE}},
    };

    for (int port = 0; port < 2; port++) {
        for (int p = 0; p < 4; p++) {
            for (int t = 0; t < 4; t++) {
                struct addrinfo hints = {.ai_socktype = types[t], .ai_protocol = protocols[p]};
                struct addrinfo *list = NULL;
                int found = getaddrinfo("1.2.3.4", port ? "4321" : NULL, &hints, &list);

                for (struct addrinfo *i = found == 0 ? list : NULL; i != NULL; i = i->ai_next) {
                    found |= 1 << (i->ai_socktype - SOCK_STREAM);
                    if (protocols[p] != 0)
                        CHECK_EQ(i->ai_protocol, protocols[p]);
                }
                if (found > 0)
                    freeaddrinfo(list);
                if (found != expected[port][p][t])
                    FAIL("port %d, type %d, protocol %d: %d instead of %d", port, types[t],
                         protocols[p], found, expected[port][p][t]);
            }
        }
    }
}
