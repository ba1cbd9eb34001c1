/*
 * Event ports, for the sources of events in pv/ (private to it).
 */
#ifndef PV_EVENTS_H
#define PV_EVENTS_H

#include "pv/pv.h"

/* Ports that a guest can use: hypervisors hand out the lowest that is free, and a device takes one
 * for each of its queues. */
#define PV_EVENT_PORTS 256

/* Takes over a port that the hypervisor bound, or closes it (-ENOSPC). Call it, and the binding
 * before it, with events masked, so that no event is missed. */
int pv_event_adopt(event_port_t port, event_handler_t *fn, void *arg, event_port_t *out);

#endif
