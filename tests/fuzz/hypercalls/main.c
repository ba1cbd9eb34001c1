/*
 * The hypercall fuzzer.
 *
 * usage: hypercalls [SEED [CALLS [EPOCH [STEP]]]]
 * An odd SEED has the system sealed before (pv/abi.h); with an even one, frames become executable,
 * too. EPOCH: the first one, to see one again alone. From STEP on, calls are printed before they
 * are made.
 *
 * Ends with 0 and `fuzz: N calls, seed S: nothing found`, or with 1 and what was found, and in
 * which call.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <parvus.h>

#include "kernel/vm.h"
#include "tests/fuzz/hypercalls/fuzz.h"

#define EPOCHS_SHOWN 64 /* a line for so many */

const bool parvus_makes_code = true; /* main seals */
bool on_parvus;

static uint64_t seed = 1, epoch, at, shown_from = ~0ul;
static uint64_t random_state;

/* Marsaglia's xorshift64*. */
uint64_t random_u64(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dull;
}

void random_seed(uint64_t value)
{
    random_state = value * 0x9e3779b97f4a7c15ull | 1;
    for (unsigned i = 0; i < 8; i++)
        random_u64();
}

void failed(const char *format, ...)
{
    va_list args;

    pv_events_restore(true);
    printf("fuzz: seed %lu, epoch %lu, step %lu: ", seed, epoch, at);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    print_last("last");
    printf("fuzz: again: hypercalls %lu %u %lu\n", seed, EPOCH_CALLS, epoch);
    exit(1);
}

bool is_shown(void)
{
    return at >= shown_from;
}

/* Of the page that the hypervisor filled; the direction flag is the guest's affair. */
long hypercall(uint64_t number, const uint64_t args[5])
{
    extern const char hypercall_page[];
    const char *target = hypercall_page + (number & 127) * 32;
    uint64_t a1 = args[0], a2 = args[1], a3 = args[2];
    long result;
    register uint64_t r10 asm("r10") = args[3];
    register uint64_t r8 asm("r8") = args[4];

    if (at & 1)
        asm volatile("std; call *%[target]; cld"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : [target] "r"(target)
                     : "memory", "rcx", "r11", "r9", "cc");
    else
        asm volatile("call *%[target]"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : [target] "r"(target)
                     : "memory", "rcx", "r11", "r9", "cc");
    return result;
}

/* In every second epoch events are masked, so that the ways to deliver them can be changed. */
static void run_epoch(uint64_t count)
{
    random_seed(seed << 32 ^ epoch);
    events_are_masked = epoch % 2 == 0;
    if (events_are_masked)
        pv_events_mask();
    for (at = 0; at < count; at++)
        step();
    pv_events_restore(true);
    audit();
    ports_reset();
    arena_reset();
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 2 ? strtoul(argv[2], NULL, 0) : 100000, done = 0;

    seed = argc > 1 ? strtoul(argv[1], NULL, 0) : seed;
    epoch = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
    shown_from = argc > 4 ? strtoul(argv[4], NULL, 0) : shown_from;
    on_parvus = pv_boot.wx_enforced; /* granted by its own feature mechanism only (pv/abi.h) */
    if (seed % 2)
        vm_seal();
    arena_make();
    long_begin();
    ports_begin();
    audit_begin();
    audit();
    while (done < count) {
        uint64_t part = count - done < EPOCH_CALLS ? count - done : EPOCH_CALLS;

        run_epoch(part);
        done += part;
        if (++epoch % EPOCHS_SHOWN == 0)
            printf("fuzz: epoch %lu, %lu calls\n", epoch, done);
    }
    printf("fuzz: %lu calls, seed %lu: nothing found\n", done, seed);
    return 0;
}
