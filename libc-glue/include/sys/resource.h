/* What the process uses, and may use (POSIX.1-2017). */
#ifndef _SYS_RESOURCE_H
#define _SYS_RESOURCE_H

#include <sys/time.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RUSAGE_SELF 0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD 1

struct rusage {
    struct timeval ru_utime; /* all the time that the processor was not idle */
    struct timeval ru_stime; /* 0 */
    long ru_maxrss;          /* KiB in use now */
    /* 0: not counted. */
    long ru_ixrss, ru_idrss, ru_isrss, ru_minflt, ru_majflt, ru_nswap, ru_inblock, ru_oublock;
    long ru_msgsnd, ru_msgrcv, ru_nsignals, ru_nvcsw, ru_nivcsw;
};

int getrusage(int who, struct rusage *out); /* EINVAL */

typedef unsigned long rlim_t;
#define RLIM_INFINITY (~0ul)
#define RLIM_SAVED_CUR RLIM_INFINITY
#define RLIM_SAVED_MAX RLIM_INFINITY

#define RLIMIT_CPU 0
#define RLIMIT_FSIZE 1
#define RLIMIT_DATA 2
#define RLIMIT_STACK 3
#define RLIMIT_CORE 4
#define RLIMIT_NOFILE 7
#define RLIMIT_AS 9
#define RLIM_NLIMITS 10

struct rlimit {
    rlim_t rlim_cur, rlim_max;
};

/* That of descriptors may be set to less (new ones are below), and back. The others are what they
 * are: setting one succeeds where it asks for no less than there is now and no more than there can
 * be, else EPERM (above) or ENOSYS (below). EINVAL: unknown. */
int getrlimit(int resource, struct rlimit *out);
int setrlimit(int resource, const struct rlimit *limit);

#define PRIO_PROCESS 0
#define PRIO_PGRP 1
#define PRIO_USER 2

/* The process's nice value is 0; anything else is refused with ENOSYS. */
int getpriority(int which, id_t who);
int setpriority(int which, id_t who, int value);

#ifdef __cplusplus
}
#endif
#endif
