/*
 * Memory of the stack: packets, connections, everything lwIP allocates. Private to net/.
 *
 * Blocks come from the heap and, once freed, wait in lists by size, up to a sixteenth of the limit;
 * what nobody wanted for a while goes back. All of it together is bounded: by NET_MEMORY_SHARE of
 * the guest's memory. Beyond that, requests fail, and the stack drops packets and refuses
 * connections. Under net_lock.
 */
#ifndef NET_MEMORY_H
#define NET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_MEMORY_SHARE 2 /* half of it */

void net_memory_init(void);
void *net_memory_alloc(size_t bytes);
void *net_memory_alloc_zeroed(size_t count, size_t bytes);
void net_memory_free(void *memory);

/* There is so little left that no connection gets more for its data than it needs to go on: the
 * rest is for answers to others. */
bool net_memory_is_tight(void);

/* Before the stack's thread sleeps: gives back free blocks that were not needed since some time
 * ago. Returns when to call it again, or NET_FOREVER. */
uint64_t net_memory_trim(void);

struct net_memory_counts {
    size_t used_bytes, max_bytes, limit_bytes, cached_bytes;
    size_t refused;
};
void net_memory_counts(struct net_memory_counts *out);

#endif
