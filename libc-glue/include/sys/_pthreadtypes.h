/*
 * The types of POSIX threads, in place of newlib's. Objects hold all of their state; all-zero ones
 * are initialised with the default attributes. The members are libc-glue's.
 */
#ifndef _SYS__PTHREADTYPES_H_
#define _SYS__PTHREADTYPES_H_

#include <sys/sched.h>

typedef unsigned long pthread_t; /* as elsewhere: programs print it, and assign 0 */
typedef unsigned pthread_key_t;
typedef volatile int pthread_spinlock_t;

typedef struct {
    unsigned long __stack_bytes; /* 0: the default */
    void *__stack;               /* its lowest address; NULL: to be made */
    unsigned long __guard_bytes;
    int __detach_state, __scope, __inherit, __policy;
    struct sched_param __param;
} pthread_attr_t;

typedef struct {
    int __type;
    unsigned __state, __depth;
    unsigned long __owner;
    void *__waiters;
} pthread_mutex_t;

typedef struct {
    int __type, __pshared;
} pthread_mutexattr_t;

typedef struct {
    int __is_monotonic;
    unsigned __sequence;
    void *__waiters;
} pthread_cond_t;

typedef struct {
    int __is_monotonic, __pshared;
} pthread_condattr_t;

typedef struct {
    unsigned __state;
    unsigned long __writer;
    void *__readers_waiting, *__writers_waiting;
} pthread_rwlock_t;

typedef struct {
    int __pshared;
} pthread_rwlockattr_t;

typedef struct {
    unsigned __state;
    void *__waiters;
} pthread_once_t;

typedef struct {
    unsigned __count, __left, __round;
    void *__waiters;
} pthread_barrier_t;

typedef struct {
    int __pshared;
} pthread_barrierattr_t;

#endif
