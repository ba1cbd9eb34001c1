/*
 * Attributes of threads and their scheduling, as the kernel wants them.
 */
#ifndef LIBC_GLUE_PTHREAD_ATTR_H
#define LIBC_GLUE_PTHREAD_ATTR_H

#include <pthread.h>
#include <stdbool.h>

#include "kernel/thread.h"

struct pthread_start {
    struct thread_attr kernel;
    int policy, priority;
    bool is_detached;
};

/* attr NULL: the defaults. An error number: EINVAL. */
int pthread_attr_resolve(const pthread_attr_t *attr, struct pthread_start *out);

#endif
