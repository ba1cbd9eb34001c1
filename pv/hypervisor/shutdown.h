/*
 * The ends of the machine. Each is told to the machine monitor (boot/layout.h, DEBUG_*), whose run
 * command makes an exit status of it; then the machine is reset. Ring 0.
 */
#ifndef HYPERVISOR_SHUTDOWN_H
#define HYPERVISOR_SHUTDOWN_H

#include "pv/hypervisor/cpu.h"

/* The guest asked for it: SHUTDOWN_* (xen/sched.h), with the code latched before, if any. */
_Noreturn void shutdown_domain(unsigned int reason);

/* The guest did what cannot go on: print why and its registers, and end it. */
_Noreturn void shutdown_crash(const struct frame *frame, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An exception of ring 0 that nothing expected. */
_Noreturn void shutdown_hypervisor_fault(struct frame *frame);

#endif
