/* ip= and ip6= of the command line (net/config.c). */
#include <lwip/ip4.h>
#include <lwip/ip6.h>
#include <lwip/netif.h>

#include "kernel/log.h"
#include "net/config.h"
#include "tests/fuzz/host/fuzz.h"

const char *cmdline_get(const char *key)
{
    (void)key;
    return NULL;
}

/* What else the files with lwIP's readers of addresses refer to. */
err_t ip4_input(struct pbuf *p, struct netif *inp)
{
    (void)p, (void)inp;
    return ERR_OK;
}

err_t ip6_input(struct pbuf *p, struct netif *inp)
{
    (void)p, (void)inp;
    return ERR_OK;
}

struct netif *netif_find(const char *name)
{
    (void)name;
    return NULL;
}

void net_assertion_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "lwIP: %s (%s:%d)\n", what, file, line);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct config config;
    char *text = fuzz_text(data, bytes);

    log_level = LOG_LEVEL_ERROR;
    if (config_parse("ip", text, false, &config) == 0) {
        FUZZ_CHECK(config.nr_dns <= CONFIG_MAX_DNS);
        FUZZ_CHECK(config.method != CONFIG_STATIC ||
                   (config.prefix_bits >= 1 && config.prefix_bits <= 32));
    }
    if (config_parse("ip6", text, true, &config) == 0)
        FUZZ_CHECK(config.method != CONFIG_STATIC || config.prefix_bits == 64);
    free(text);
    return 0;
}
