/*
 * Numbers that nobody outside can guess: initial sequence numbers (RFC 6528), ports, DNS ids.
 *
 * SipHash-2-4 (Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012) under a key from the
 * system's entropy; numbers are the hash of a counter. Under net_lock.
 */
#include "net/random.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/log.h"
#include "net/arch/cc.h"
#include "net/hooks.h"

static uint64_t key[2];

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Of whole words: what the hash's last word would hold besides is our length. */
static uint64_t hash(const uint64_t *words, unsigned count)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};

    for (unsigned i = 0; i <= count; i++) {
        uint64_t word = i < count ? words[i] : (uint64_t)count << 59;
        v[3] ^= word;
        mix(v);
        mix(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void net_random_init(void)
{
    if (getentropy(key, sizeof(key)) == 0)
        return;
    /* Better than nothing: what differs from boot to boot. */
    key[0] = clock_wall_ns();
    key[1] = clock_monotonic_ns() ^ (uint64_t)__builtin_ia32_rdtsc() << 20;
    log_warn("net: the processor has no random numbers: sequence numbers may be guessed");
}

uint32_t net_random(void)
{
    static uint64_t counter;

    counter++;
    return (uint32_t)hash(&counter, 1);
}

/*
 * RFC 6528, 3: a clock plus a secret hash of the connection. The clock ticks every 64 ns, as
 * Linux's does, not every 4 us: over loopback a connection comes and goes within three of those,
 * and the next one on its ports must begin beyond it (net/syn.c).
 */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port)
{
    uint64_t words[5] = {[4] = (uint64_t)local_port << 16 | remote_port};

    memcpy(&words[0], &local_ip->u_addr, IP_IS_V4_VAL(*local_ip) ? 4 : 16);
    memcpy(&words[2], &remote_ip->u_addr, IP_IS_V4_VAL(*remote_ip) ? 4 : 16);
    return (u32_t)(hash(words, 5) + clock_monotonic_ns() / 64);
}
