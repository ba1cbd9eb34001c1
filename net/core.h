/*
 * The stack's lock and its thread. Private to net/.
 *
 * net_lock protects all of lwIP, every socket and every interface. Whoever calls lwIP holds it. It
 * may be held while memory is allocated, and while a socket's watcher is told of an event; it is
 * taken in no event handler.
 *
 * The thread polls the devices, runs lwIP's timers, and tells the devices of what was queued for
 * them: a kick costs an exit, so that those who send leave it to the thread, which runs as soon as
 * they wait for something. After an interrupt it runs at once (priority high); while there is work
 * it takes turns with the application (priority default) and takes no interrupts.
 */
#ifndef NET_CORE_H
#define NET_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sync.h"

void net_lock(void);
/* Delivers what was sent to ourselves, and has the devices told of the rest. */
void net_unlock(void);

/* Waits for the condition's signal, or until deadline_ns: -ETIMEDOUT (0: at once). The caller holds
 * net_lock and looks again at what it waits for after every return. */
int net_wait(struct cond *changed, uint64_t deadline_ns);
int net_wait_interruptible(struct cond *changed, uint64_t deadline_ns); /* also -EINTR */

/* Wakes the thread, in event context. */
void net_wake(void);

/* -ENOMEM. Boot only; lwIP is initialised. */
int net_thread_start(void);

/* Rounds of the thread so far. */
uint64_t net_rounds(void);

#endif
