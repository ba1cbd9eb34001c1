/* Internet addresses as text, both ways (libc-glue/inet.c). The judge is this machine's C library.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <strings.h>

#include "tests/fuzz/host/fuzz.h"

/* Ours by other names. */
#define inet_pton our_pton
#define inet_ntop our_ntop
#define inet_aton our_aton
#define inet_addr our_addr
#define inet_network our_network
#define inet_ntoa our_ntoa
#define inet_makeaddr our_makeaddr
#define inet_lnaof our_lnaof
#define inet_netof our_netof
#define in6addr_any our_any
#define in6addr_loopback our_loopback
#include "libc-glue/inet.c"
#undef inet_pton
#undef inet_ntop
#undef inet_aton

static void check_text(const char *text, int family, size_t address_bytes)
{
    uint8_t ours[16], theirs[16];
    int result = our_pton(family, text, ours);

    FUZZ_CHECK(result == inet_pton(family, text, theirs));
    FUZZ_CHECK(result != 1 || memcmp(ours, theirs, address_bytes) == 0);
}

/* Back to text, which may have too little room. */
static void check_address(const uint8_t *address, int family, size_t room)
{
    char ours[INET6_ADDRSTRLEN], theirs[INET6_ADDRSTRLEN];
    char *small = malloc(room + 1);

    FUZZ_CHECK(our_ntop(family, address, ours, sizeof(ours)) &&
               inet_ntop(family, address, theirs, sizeof(theirs)) && strcmp(ours, theirs) == 0);
    FUZZ_CHECK((our_ntop(family, address, small, (socklen_t)room) != NULL) ==
               (strlen(ours) < room));
    free(small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct in_addr ours, theirs;
    char *text = fuzz_text(data, bytes);
    uint8_t address[16] = {0};

    check_text(text, AF_INET, 4);
    check_text(text, AF_INET6, 16);
    int result = our_aton(text, &ours);
    FUZZ_CHECK(result == inet_aton(text, &theirs));
    FUZZ_CHECK(!result || ours.s_addr == theirs.s_addr);
    memcpy(address, data, bytes < sizeof(address) ? bytes : sizeof(address));
    check_address(address, AF_INET, bytes % 20);
    check_address(address, AF_INET6, bytes % 50);
    free(text);
    return 0;
}
