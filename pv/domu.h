/*
 * What a domain that is not the initial one shares with the tool stack's daemons (private to pv/):
 * a page in its own memory and an event channel each, for the console and for xenstore.
 */
#ifndef PV_DOMU_H
#define PV_DOMU_H

#include "pv/shared.h"

/* The number of pages that the domain may come to have (pv/frames.c); at least `now`. Boot only. */
uint64_t pv_frames_most(uint64_t now);

/* Boot only, after pv_memory_init. */
void pv_console_ring_init(const struct start_info *si);
void pv_store_init(const struct start_info *si);

/* Our page behind a machine frame that the tool stack took from the boot area; NULL: none. */
void *pv_daemon_page(uint64_t mfn);

/* Lets a daemon look at its ring. */
void pv_daemon_notify(event_port_t port);
/* Waits for a daemon, whether events are masked or not; may return early. */
void pv_daemon_wait(event_port_t port);

/* The console ring: whether there is one, its port, and the two directions. Any context. */
bool pv_console_ring_present(void);
event_port_t pv_console_ring_port(void);
void pv_console_ring_write(const char *text, size_t bytes);
int pv_console_ring_read(char *buffer, size_t bytes);
/* Waits until xenconsoled has all the output: the tool stack may destroy the domain right after its
 * end. A daemon that takes nothing is given up. */
void pv_console_ring_drain(void);

#endif
