/*
 * The labels of entry.S. Hidden: their addresses are taken relative to the instruction pointer, as
 * the image lies far above the first 2 GiB.
 */
#ifndef HYPERVISOR_ENTRY_H
#define HYPERVISOR_ENTRY_H

#include <stdint.h>
#include "pv/hypervisor/offsets.h"

#pragma GCC visibility push(hidden)

extern const char entry_syscall[];                 /* where SYSCALL goes (LSTAR) */
extern const char entry_breakpoint[];              /* vector 3 */
extern const char entry_breakpoint_called[];       /* where its hypercalls return to */
extern const char entry_breakpoint_again[];        /* where one does that is continued */
extern const char entry_iretq[];                   /* the one IRETQ to the guest */
extern const uint8_t vector_stubs[NR_VECTORS][16]; /* every vector's entry */
extern struct cpu boot_cpu;                        /* the boot CPU's, above its stack */

void entry_iret(void); /* hypercall_table's way to hypercall_iret() */

#pragma GCC visibility pop

#endif
