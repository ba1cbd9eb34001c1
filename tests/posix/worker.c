/*
 * Threads for tests that have other things in mind.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/posix/check.h"

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
