/*
 * The types of <threads.h> (C11, 7.26): those of POSIX threads.
 */
#ifndef _MACHINE__THREADS_H_
#define _MACHINE__THREADS_H_

#include <limits.h>
#include <sys/cdefs.h>
#include <sys/types.h>

typedef pthread_t thrd_t;
typedef pthread_mutex_t mtx_t;
typedef pthread_cond_t cnd_t;
typedef pthread_key_t tss_t;
typedef pthread_once_t once_flag;

#define ONCE_FLAG_INIT                                                                             \
    {                                                                                              \
        0, 0                                                                                       \
    }
#define TSS_DTOR_ITERATIONS PTHREAD_DESTRUCTOR_ITERATIONS

#endif
