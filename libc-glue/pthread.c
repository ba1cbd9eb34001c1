/*
 * Threads: create, join, end; who they are.
 *
 * Ordinary calls from threads; they sleep. Locks: pthread_all_lock protects the list of all;
 * `creation` keeps a new thread from running until its creator is done with it.
 * Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include "libc-glue/pthread.h"

#include <stdlib.h>
#include <string.h>

#include "libc-glue/glue.h"
#include "libc-glue/pthread_attr.h"

__thread struct pthread pthread_own;

struct pthread_list pthread_all = LIST_HEAD_INITIALIZER(pthread_all);
struct spinlock pthread_all_lock;
void (*pthread_run_key_destructors)(void);

static struct mutex creation = MUTEX_INIT;

static void enlist(struct pthread *p, struct thread *thread)
{
    bool unmask = spin_lock(&pthread_all_lock);

    p->thread = thread;
    LIST_INSERT_HEAD(&pthread_all, p, link);
    spin_unlock(&pthread_all_lock, unmask);
}

struct pthread *pthread_here(void)
{
    if (pthread_own.thread == NULL)
        enlist(&pthread_own, thread_self());
    return &pthread_own;
}

pthread_t pthread_self(void)
{
    return (pthread_t)pthread_here();
}

int pthread_equal(pthread_t a, pthread_t b)
{
    return a == b;
}

static void *run(void *unused)
{
    (void)unused;
    mutex_lock(&creation); /* the creator has written what we are */
    mutex_unlock(&creation);
    pthread_exit(pthread_own.start(pthread_own.arg));
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    struct pthread *self = pthread_here(), *p;
    struct pthread_start how;
    struct thread *thread;
    int error = pthread_attr_resolve(attr, &how);

    if (error != 0)
        return error;
    mutex_lock(&creation);
    error = thread_create(&thread, &how.kernel, run, NULL);
    if (error == 0) {
        p = thread_local_of(thread, &pthread_own);
        p->start = start;
        p->arg = arg;
        p->policy = how.policy;
        p->priority = how.priority;
        p->signal_mask = self->signal_mask;
        enlist(p, thread);
        if (how.is_detached)
            thread_detach(thread);
        *out = (pthread_t)p;
    }
    mutex_unlock(&creation);
    if (error == -EINVAL && how.kernel.stack != NULL)
        return EINVAL;              /* too small with the thread-local variables in it */
    return error != 0 ? EAGAIN : 0; /* no memory, or a stack larger than there can be */
}

void pthread_exit(void *value)
{
    struct pthread *self = pthread_here();
    struct __pthread_cleanup *cleanup;

    self->cancel_state = PTHREAD_CANCEL_DISABLE;
    while ((cleanup = self->cleanup) != NULL) {
        self->cleanup = cleanup->__outer;
        cleanup->__routine(cleanup->__arg);
    }
    if (pthread_run_key_destructors != NULL)
        pthread_run_key_destructors();
    if (thread_count() == 1)
        exit(0); /* as the last thread's end is the process's */
    bool unmask = spin_lock(&pthread_all_lock);
    self->is_ending = true;
    LIST_REMOVE(self, link);
    spin_unlock(&pthread_all_lock, unmask);
    thread_exit(value);
}

int pthread_join(pthread_t thread, void **value)
{
    int error;

    pthread_here();
    while ((error = thread_join(pthread_of(thread)->thread, value)) == -EINTR)
        thread_serve_interrupt();
    return -error;
}

int pthread_detach(pthread_t thread)
{
    return -thread_detach(pthread_of(thread)->thread);
}

/* There is no fork. */
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare, (void)parent, (void)child;
    return 0;
}

/* Every thread is the kernel's: the level has nothing to do. */

static int concurrency;

int pthread_getconcurrency(void)
{
    return concurrency;
}

int pthread_setconcurrency(int level)
{
    if (level < 0)
        return EINVAL;
    concurrency = level;
    return 0;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    if (strlen(name) >= THREAD_NAME_BYTES)
        return ERANGE;
    thread_set_name(pthread_of(thread)->thread, name);
    return 0;
}

int pthread_getname_np(pthread_t thread, char *name, size_t bytes)
{
    const char *from = thread_name(pthread_of(thread)->thread);

    if (strlen(from) >= bytes)
        return ERANGE;
    strcpy(name, from);
    return 0;
}
