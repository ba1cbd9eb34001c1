/*
 * The groups of figures, one file each, in the order in which they are printed.
 *
 * A figure's id is GROUP.WHAT[.HOW[.BATCH]]; tools/benchlib/pvbench.py knows them.
 */
#ifndef APPS_PVBENCH_PVBENCH_H
#define APPS_PVBENCH_PVBENCH_H

#include <stdint.h>

void bench_hypercalls(void); /* call.*: hypercalls and multicalls that do nothing */
void bench_privileged(void); /* fsbase.*, mask.*, trap.*: hypercall, trap, or no help at all */
void bench_pagetable(void);  /* pte.*: page-table updates, one by one and in batches */
void bench_memory(void);     /* vm.*, heap.*: the kernel's and libc's use of them */
void bench_clock(void);      /* clock.* */
void bench_events(uint64_t tsc_hz); /* event.*, timer.* */
void bench_interrupts(void);        /* irq.* */
void bench_threads(void);           /* thread.* */

#endif
