/*
 * See jitter.h. Callers: kernel/entropy.c. Ring 3. Locks: none; the pool belongs to the call.
 *
 * Each sample is the number of cycles that a walk through memory takes. Half a bit of entropy is
 * claimed for each, so that SAMPLES of them make 256; the health tests are those of NIST SP
 * 800-90B, 4.4, for that claim and a false alarm in 2^20. Samples go into the pool by the round of
 * SipHash, which is a permutation: none is lost.
 */
#include "kernel/jitter.h"

#include <errno.h>
#include <stddef.h>
#include <x86intrin.h>

#define SAMPLES 512       /* also the window of the adaptive proportion test */
#define SAME_IN_A_ROW 41  /* 4.4.1: 1 + 20 / H */
#define SAME_AS_FIRST 411 /* 4.4.2: the binomial's critical value for p = 2^-H */
#define STIR_SAMPLES 64
#define WORK_BYTES 4096
#define WORK_STEPS 32

struct health {
    uint64_t first, last;
    unsigned in_a_row, as_first;
    int error;
};

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void mix(uint64_t v[4], uint64_t sample)
{
    v[3] ^= sample;
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

/* Always the same number of instructions. */
static uint64_t measure(void)
{
    static volatile uint8_t memory[WORK_BYTES];
    uint64_t start = __rdtsc();
    size_t at = 0;

    for (int i = 0; i < WORK_STEPS; i++) {
        memory[at]++;
        at = (at + 67 * 64 + 1) % WORK_BYTES;
    }
    return __rdtsc() - start;
}

static void check(struct health *h, uint64_t sample, unsigned number)
{
    if (number == 0)
        *h = (struct health){.first = sample, .last = ~sample};
    h->in_a_row = sample == h->last ? h->in_a_row + 1 : 1;
    h->last = sample;
    h->as_first += sample == h->first;
    if (h->in_a_row >= SAME_IN_A_ROW || h->as_first >= SAME_AS_FIRST)
        h->error = -EIO;
}

int jitter_gather(uint64_t out[4])
{
    struct health health = {0};

    measure(); /* the first walk is slower than all others */
    mix(out, __rdtsc());
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t sample = measure();

        check(&health, sample, i);
        mix(out, sample);
    }
    return health.error;
}

void jitter_stir(uint64_t out[4])
{
    mix(out, __rdtsc());
    for (unsigned i = 0; i < STIR_SAMPLES; i++)
        mix(out, measure());
}
