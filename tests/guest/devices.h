/*
 * Real devices (of QEMU) that tests drive: found, waited for, and left silent again.
 */
#ifndef TESTS_GUEST_DEVICES_H
#define TESTS_GUEST_DEVICES_H

#include "kernel/pci.h"
#include "kernel/sync.h"

#define DEVICE_WAIT_MS 60000 /* for what hangs: any machine is faster */

/* The nth function of that kind; false: there are not so many. */
bool device_find(uint16_t vendor, uint16_t device, unsigned nth, struct pci_function *out);

/* Counts events: the handler is device_event, its arg the struct. */
struct device_events {
    struct semaphore arrived;
    volatile unsigned count;
    void (*served)(void *device); /* called in the handler, unless NULL */
    void *device;
};
void device_event(void *events);
/* Waits for one more event; false (and a failure noted): none came. */
bool device_wait(struct device_events *events);
/* Time in which what should not come would come. */
void device_settle(void);

#endif
