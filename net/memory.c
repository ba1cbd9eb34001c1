/*
 * Memory of the stack, see net/memory.h.
 *
 * Callers: lwIP and net/, under net_lock. A block begins with its class, eight bytes, so that it
 * can be freed without being asked for its size. Classes go in steps of 32 bytes to 512, then in
 * eighths of a power of two (the waste is below an eighth); larger blocks go straight to the heap.
 */
#include "net/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/timeouts.h>

#include "kernel/clock.h"
#include "kernel/vm.h"
#include "net/socket.h"

#define HEADER_BYTES 8ul
#define SMALL_STEP 32ul
#define SMALL_MAX 512ul
#define SMALL_CLASSES (SMALL_MAX / SMALL_STEP)
#define STEPS 8ul
#define STEP_SHIFT 3
#define SMALL_MAX_SHIFT 9
#define CACHED_MAX_SHIFT 16
#define CLASSES (SMALL_CLASSES + STEPS * (CACHED_MAX_SHIFT - SMALL_MAX_SHIFT))
#define CACHED_SHARE 16
#define CACHED_KEEP_BYTES (64ul << 10) /* not worth a timer */
#define TIGHT_SHARE 4                  /* when less than a quarter is left */
#define TIMERS 32                      /* of lwIP: one for each protocol, fewer than so many */
#define TRIM_INTERVAL_NS NS_PER_SECOND

struct block {
    uint64_t bytes;     /* with this header: its class's size, or of a large one its own */
    struct block *next; /* while it is free */
};

static struct cache {
    struct block *first;
    unsigned count, least; /* least: since the last look of net_memory_trim */
} caches[CLASSES];
static uint64_t trim_at_ns; /* 0: there is little to give back */
static struct net_memory_counts counts;

/* lwIP sets a timer again after each time, and asserts that there is memory for it. */
static struct timer {
    struct timer *next;
    struct sys_timeo timer;
} timers[TIMERS], *free_timers;

_Static_assert(offsetof(struct timer, timer) == HEADER_BYTES, "no header, but as far from it");

static bool is_timer(const void *memory)
{
    return (uintptr_t)memory - (uintptr_t)timers < sizeof(timers);
}

void net_memory_init(void)
{
    counts.limit_bytes = pv_boot.nr_pages * PAGE_SIZE / NET_MEMORY_SHARE;
    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i].next = free_timers;
        free_timers = &timers[i];
    }
}

/* Class of a size, header included; *rounded is the class's size. CLASSES: none. */
static unsigned class_of(size_t bytes, size_t *rounded)
{
    if (bytes <= SMALL_MAX) {
        unsigned class = (unsigned)((bytes - 1) / SMALL_STEP);
        *rounded = (class + 1) * SMALL_STEP;
        return class;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzl(bytes - 1); /* 2^shift < bytes <= 2^(shift+1) */
    if (shift >= CACHED_MAX_SHIFT) {
        *rounded = bytes;
        return CLASSES;
    }
    size_t step = 1ul << (shift - STEP_SHIFT);
    *rounded = (bytes + step - 1) & -step;
    return (unsigned)(SMALL_CLASSES + (shift - SMALL_MAX_SHIFT) * STEPS +
                      (*rounded - (1ul << shift)) / step - 1);
}

static struct block *take(struct cache *cache)
{
    struct block *block = cache->first;

    if (!block)
        return NULL;
    cache->first = block->next;
    if (--cache->count < cache->least)
        cache->least = cache->count;
    return block;
}

void *net_memory_alloc(size_t bytes)
{
    size_t rounded;
    unsigned class = class_of(bytes + HEADER_BYTES, &rounded);

    if (bytes == sizeof(struct sys_timeo) && free_timers) {
        struct timer *timer = free_timers;
        free_timers = timer->next;
        return &timer->timer;
    }
    if (bytes > counts.limit_bytes || counts.used_bytes + rounded > counts.limit_bytes) {
        counts.refused++;
        return NULL;
    }
    struct block *block = class < CLASSES ? take(&caches[class]) : NULL;
    if (block) {
        counts.cached_bytes -= rounded;
    } else {
        block = malloc(rounded);
        if (!block) {
            counts.refused++;
            return NULL;
        }
        block->bytes = rounded;
    }
    counts.used_bytes += rounded;
    if (counts.used_bytes > counts.max_bytes)
        counts.max_bytes = counts.used_bytes;
    return (char *)block + HEADER_BYTES;
}

void *net_memory_alloc_zeroed(size_t count, size_t bytes)
{
    void *memory = net_memory_alloc(count * bytes);

    if (memory)
        memset(memory, 0, count * bytes);
    return memory;
}

void net_memory_free(void *memory)
{
    if (!memory)
        return;
    if (is_timer(memory)) {
        struct timer *timer = (struct timer *)((char *)memory - HEADER_BYTES);
        timer->next = free_timers;
        free_timers = timer;
        return;
    }
    struct block *block = (struct block *)((char *)memory - HEADER_BYTES);
    size_t rounded;
    unsigned class = class_of(block->bytes, &rounded);

    counts.used_bytes -= rounded;
    if (class == CLASSES || counts.cached_bytes + rounded > counts.limit_bytes / CACHED_SHARE) {
        free(block);
        return;
    }
    block->next = caches[class].first;
    caches[class].first = block;
    caches[class].count++;
    counts.cached_bytes += rounded;
}

bool net_memory_is_tight(void)
{
    return counts.limit_bytes - counts.used_bytes < counts.limit_bytes / TIGHT_SHARE;
}

uint64_t net_memory_trim(void)
{
    if (counts.cached_bytes <= CACHED_KEEP_BYTES) {
        trim_at_ns = 0;
        return NET_FOREVER;
    }
    uint64_t now_ns = clock_monotonic_ns();
    if (trim_at_ns != 0 && now_ns < trim_at_ns)
        return trim_at_ns;
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct cache *cache = &caches[class];

        /* The first look after a pause only begins to count. */
        for (unsigned left = trim_at_ns != 0 ? cache->least : 0; left > 0; left--) {
            struct block *block = take(cache);
            counts.cached_bytes -= block->bytes;
            free(block);
        }
        cache->least = cache->count;
    }
    return trim_at_ns = now_ns + TRIM_INTERVAL_NS;
}

void net_memory_counts(struct net_memory_counts *out)
{
    *out = counts;
}
