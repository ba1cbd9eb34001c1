/*
 * Spin locks that also mask events on this vCPU: for state shared with event handlers, and between
 * vCPUs. Held for a few instructions; no sleeping inside. Ring 3.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "pv/pv.h"

struct spinlock {
    uint32_t held;
};

/* Returns what spin_unlock needs: whether events were unmasked. */
static inline bool spin_lock(struct spinlock *lock)
{
    bool unmask = pv_events_mask();

    while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) /* pairs with spin_release */
        __builtin_ia32_pause();
    return unmask;
}

/* Gives up the lock and leaves events masked. */
static inline void spin_release(struct spinlock *lock)
{
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

static inline void spin_unlock(struct spinlock *lock, bool unmask)
{
    spin_release(lock);
    pv_events_restore(unmask);
}

#endif
