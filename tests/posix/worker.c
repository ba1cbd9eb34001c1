/*
 * Threads for tests: those of the kernel in the guest, POSIX threads on Linux.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/posix/check.h"

#ifdef __parvus__

#include "kernel/thread.h"

struct worker *worker_start(void *(*fn)(void *), void *argument)
{
    struct thread *thread;
    int error = thread_create(&thread, NULL, fn, argument);

    if (error != 0) {
        printf("no thread: error %d\n", -error);
        exit(1);
    }
    return (struct worker *)thread;
}

void *worker_join(struct worker *worker)
{
    void *result = NULL;

    thread_join((struct thread *)worker, &result);
    return result;
}

#else

#include <pthread.h>

struct worker {
    pthread_t thread;
};

struct worker *worker_start(void *(*fn)(void *), void *argument)
{
    struct worker *worker = malloc(sizeof(*worker));

    if (worker == NULL || pthread_create(&worker->thread, NULL, fn, argument) != 0) {
        printf("no thread\n");
        exit(1);
    }
    return worker;
}

void *worker_join(struct worker *worker)
{
    void *result = NULL;

    pthread_join(worker->thread, &result);
    free(worker);
    return result;
}

#endif
