/*
 * Bytes in a ring, between who writes and who reads: inside pipes and pairs of sockets.
 *
 * Its user's lock protects it. All-zero counts are an empty ring; `bytes` need no beginning.
 */
#ifndef LIBC_GLUE_RING_H
#define LIBC_GLUE_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_BYTES 65536u /* a power of two */

struct ring {
    uint32_t read_bytes, written_bytes; /* since the beginning; their difference is in the ring */
    char bytes[RING_BYTES];
};

static inline uint32_t ring_filled(const struct ring *ring)
{
    return ring->written_bytes - ring->read_bytes;
}

static inline uint32_t ring_room(const struct ring *ring)
{
    return RING_BYTES - ring_filled(ring);
}

/* As many as have room; how many that were. */
uint32_t ring_put(struct ring *ring, const void *from, size_t bytes);
/* As many as there are, from the `skip`-th on; they stay. */
uint32_t ring_peek(const struct ring *ring, uint32_t skip, void *to, size_t bytes);
/* As many as there are; they go. */
uint32_t ring_take(struct ring *ring, void *to, size_t bytes);

#endif
