/*
 * Bytes in a ring (ring.h). Any context that has the lock of the ring's user.
 */
#include "libc-glue/ring.h"

#include <string.h>

static uint32_t smaller(size_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

/* At most two parts: up to the end of the memory, and from its beginning on. */
uint32_t ring_put(struct ring *ring, const void *from, size_t bytes)
{
    uint32_t count = smaller(bytes, ring_room(ring)), at = ring->written_bytes % RING_BYTES;
    uint32_t part = smaller(count, RING_BYTES - at);

    memcpy(ring->bytes + at, from, part);
    memcpy(ring->bytes, (const char *)from + part, count - part);
    ring->written_bytes += count;
    return count;
}

uint32_t ring_peek(const struct ring *ring, uint32_t skip, void *to, size_t bytes)
{
    if (skip >= ring_filled(ring))
        return 0;
    uint32_t count = smaller(bytes, ring_filled(ring) - skip);
    uint32_t at = (ring->read_bytes + skip) % RING_BYTES;
    uint32_t part = smaller(count, RING_BYTES - at);

    memcpy(to, ring->bytes + at, part);
    memcpy((char *)to + part, ring->bytes, count - part);
    return count;
}

uint32_t ring_take(struct ring *ring, void *to, size_t bytes)
{
    uint32_t count = ring_peek(ring, 0, to, bytes);

    ring->read_bytes += count;
    return count;
}
