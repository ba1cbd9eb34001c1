/*
 * Semaphores (POSIX.1-2017 <semaphore.h>). Named ones have names of their own, in no file system.
 */
#ifndef _SEMAPHORE_H
#define _SEMAPHORE_H

#include <limits.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <time.h>

typedef struct {
    unsigned __value;
    void *__waiters;
} sem_t;

#define SEM_FAILED ((sem_t *)0)

__BEGIN_DECLS

int sem_init(sem_t *__sem, int __pshared, unsigned __value);
int sem_destroy(sem_t *__sem);
int sem_wait(sem_t *__sem);
int sem_trywait(sem_t *__sem);
int sem_timedwait(sem_t *__restrict __sem, const struct timespec *__restrict __abstime);
int sem_clockwait(sem_t *__restrict __sem, clockid_t __clock,
                  const struct timespec *__restrict __abstime);
int sem_post(sem_t *__sem);
int sem_getvalue(sem_t *__restrict __sem, int *__restrict __value);
sem_t *sem_open(const char *__name, int __flags, ...);
int sem_close(sem_t *__sem);
int sem_unlink(const char *__name);

__END_DECLS

#endif
