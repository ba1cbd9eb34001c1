/*
 * Faults as results, for tests: fault_catch runs fn(arg) and turns an exception in it into a return
 * value instead of a panic.
 */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "pv/pv.h"

struct fault {
    unsigned vector;     /* TRAP_* of pv/pv.h */
    uint64_t error_code; /* page fault: bit 0 present, 1 write, 4 fetch (bit 2, user: not on Xen) */
    uintptr_t address;   /* page fault: what could not be reached */
    uintptr_t rip;
};

/*
 * fn sees every exception that nobody catches and that came with events unmasked, as it came:
 * events masked, on the stack at fault or on the fault stack, the FPU as it was. What it leaves in
 * *frame is continued; false: not its own, the end. One.
 */
void fault_on_exception(bool (*fn)(struct trap_frame *frame));

/* 0: fn returned. 1: it faulted, *out tells how; what fn held (locks, memory) it still holds.
 * May nest. A fault while events are masked is a panic as ever: nobody could tell whose it is. */
int fault_catch(void (*fn)(void *), void *arg, struct fault *out);

#endif
