/*
 * Event channels (2-level ABI: xen/event_channel.h, xen.h shared_info). Ring 0.
 */
#ifndef HYPERVISOR_EVENT_H
#define HYPERVISOR_EVENT_H

#include <stdint.h>

/* Raise a virtual interrupt (VIRQ_*); nothing happens where the guest has not bound it. */
void event_send_virq(unsigned int virq);

/* Raise an event at a port that is open. */
void event_send_port(unsigned int port);

/* Whether a port's pending bit is set. */
int event_is_pending(unsigned int port);
int event_is_port(uint64_t port);

/*
 * Make the guest's frame enter its event callback, if it has one. Called on the way out of ring 0
 * when an upcall is pending and not masked.
 */
void event_deliver(void);

#endif
