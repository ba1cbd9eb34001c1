/*
 * The end of a guest that cannot go on: message, registers, backtrace (`  #N 0xADDR`, as linked,
 * symbolised by the host tool), then a crash reported to the hypervisor. Safe from anywhere, also
 * from itself.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "pv/pv.h"

_Noreturn void panic(const char *format, ...) __attribute__((cold, format(printf, 1, 2)));

/* As panic, with registers and backtrace from a trap frame. */
_Noreturn void panic_at(const struct trap_frame *frame, const char *format, ...)
    __attribute__((cold, format(printf, 2, 3)));

/* As panic, but reported as out of memory (PARVUS_STATUS_OUT_OF_MEMORY). */
_Noreturn void panic_out_of_memory(const char *format, ...)
    __attribute__((cold, format(printf, 1, 2)));

#endif
