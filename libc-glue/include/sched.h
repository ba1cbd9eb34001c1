/*
 * Scheduling (POSIX.1-2017 <sched.h>). Threads are preempted by time slices, in fixed priorities:
 * SCHED_OTHER's only one is 0; SCHED_RR's are above it.
 */
#ifndef _SCHED_H
#define _SCHED_H

#include <sys/cdefs.h>
#include <sys/sched.h>
#include <sys/types.h>
#include <time.h>

__BEGIN_DECLS

int sched_yield(void);
int sched_get_priority_max(int __policy);
int sched_get_priority_min(int __policy);
int sched_rr_get_interval(pid_t __pid, struct timespec *__interval);
int sched_getcpu(void);

__END_DECLS

#endif
