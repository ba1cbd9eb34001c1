/*
 * Random bytes. The generator is newlib's arc4random: ChaCha20, whose key is replaced with each
 * kilobyte, so that what was handed out cannot be found in memory. This file seeds it.
 *
 * Ordinary calls from threads; newlib calls __random_* with its lock held. Lock: `lock`, of
 * `fresh`.
 */
#include "libc-glue/random.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sync.h"
#include "libc-glue/glue.h"

#define ENTROPY_MAX_BYTES 256 /* POSIX.1-2024, getentropy */
#define SEED_BYTES 40         /* newlib's: key and nonce */
#define SEED_AGE_NS (60 * NS_PER_SECOND)
#define RESUME_NS (100 * NS_PER_MS) /* that the clocks may drift apart by while we run */

/* Supplied to newlib (tools/deps/newlib.patch). */
int __random_seed(void *out, size_t bytes);
int __random_stale(void);
_Noreturn void __random_failed(void);

static struct mutex lock = MUTEX_INIT;
static char fresh[SEED_BYTES]; /* a seed that is to be used next */
static atomic_bool has_fresh;

static struct {
    atomic_bool is_known;
    atomic_int from;
    _Atomic uint64_t at_ns, boot_ns; /* by the monotonic clock; what it counts from */
} seeded;

static uint64_t boot_ns(void)
{
    return clock_wall_ns() - clock_monotonic_ns();
}

static void tell(enum entropy_from from)
{
    static const char *const names[] = {"the processor", "the entropy device",
                                        "the jitter of the clock"};

    if (from == ENTROPY_JITTER)
        log_warn("random numbers come from the jitter of the clock: neither the processor nor a "
                 "device has any");
    else
        log_info("random numbers come from %s", names[from]);
}

static int gather(void *out, size_t bytes)
{
    enum entropy_from from;
    int error = entropy_seed(out, bytes, &from);

    if (error != 0) {
        log_error("no random numbers: neither the processor nor a device has any, and the clock is "
                  "too regular");
        return error;
    }
    if (!atomic_exchange(&seeded.is_known, true) || atomic_load(&seeded.from) != (int)from)
        tell(from);
    atomic_store(&seeded.from, from);
    atomic_store(&seeded.at_ns, clock_monotonic_ns());
    atomic_store(&seeded.boot_ns, boot_ns());
    return 0;
}

int __random_seed(void *out, size_t bytes)
{
    if (!atomic_load(&has_fresh) || bytes != SEED_BYTES)
        return gather(out, bytes);
    memcpy(out, fresh, bytes);
    explicit_bzero(fresh, sizeof(fresh));
    atomic_store(&has_fresh, false);
    return 0;
}

/* The seed is old, the wall clock jumped (this system slept, or was restored from an image), or
 * there is a fresh one. */
int __random_stale(void)
{
    int64_t jump = (int64_t)(boot_ns() - atomic_load(&seeded.boot_ns));

    return atomic_load(&has_fresh) ||
           clock_monotonic_ns() - atomic_load(&seeded.at_ns) > SEED_AGE_NS ||
           llabs(jump) > (int64_t)RESUME_NS;
}

void __random_failed(void)
{
    panic("arc4random: this machine has no random numbers");
}

/* A whole seed of jitter takes too long to be gathered for each call. */
static bool is_seeded_by_jitter(void)
{
    return atomic_load(&seeded.is_known) && atomic_load(&seeded.from) == ENTROPY_JITTER &&
           !__random_stale();
}

/* newlib adds a seed to the key that it has. */
static void stir(void)
{
    uint64_t pool[4] = {0};

    _Static_assert(sizeof(pool) <= sizeof(fresh), "it fits");
    entropy_stir(pool);
    memset(fresh, 0, sizeof(fresh));
    memcpy(fresh, pool, sizeof(pool));
    explicit_bzero(pool, sizeof(pool));
}

int random_bytes(void *buffer, size_t bytes)
{
    int error = 0;

    mutex_lock(&lock);
    if (!atomic_load(&has_fresh)) {
        if (is_seeded_by_jitter())
            stir();
        else
            error = gather(fresh, sizeof(fresh));
        atomic_store(&has_fresh, error == 0);
    }
    mutex_unlock(&lock);
    if (error == 0)
        arc4random_buf(buffer, bytes);
    return error;
}

int getentropy(void *buffer, size_t bytes)
{
    return (int)glue_result(bytes > ENTROPY_MAX_BYTES ? -EIO : random_bytes(buffer, bytes));
}

ssize_t getrandom(void *buffer, size_t bytes, unsigned flags)
{
    if ((flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0)
        return glue_result(-EINVAL);
    int error = random_bytes(buffer, bytes);
    return glue_result(error != 0 ? error : (ssize_t)bytes);
}
