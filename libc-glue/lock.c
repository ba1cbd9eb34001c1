/*
 * newlib's locks (sys/lock.h) on kernel mutexes: the fixed ones, and one per stdio stream.
 *
 * Called by newlib from threads, never from event handlers. A lock may sleep.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/lock.h>

#include "kernel/sync.h"

struct __lock {
    struct mutex mutex;
};

/* newlib declares these where it uses them. */
struct __lock __lock___arc4random_mutex = {MUTEX_INIT};
struct __lock __lock___at_quick_exit_mutex = {MUTEX_INIT};
struct __lock __lock___dd_hash_mutex = {MUTEX_INIT};
struct __lock __lock___tz_mutex = {MUTEX_INIT};
struct __lock __lock___atexit_recursive_mutex = {MUTEX_INIT_RECURSIVE};
struct __lock __lock___env_recursive_mutex = {MUTEX_INIT_RECURSIVE};
struct __lock __lock___malloc_recursive_mutex = {MUTEX_INIT_RECURSIVE};
struct __lock __lock___sfp_recursive_mutex = {MUTEX_INIT_RECURSIVE};

/*
 * Initialisation cannot report failure. Without memory for a lock of its own an object shares this
 * one, which excludes more than it must, but excludes.
 */
static struct __lock shared_lock = {MUTEX_INIT_RECURSIVE};

void __retarget_lock_init(_LOCK_T *lock)
{
    *lock = malloc(sizeof(**lock));
    if (*lock == NULL)
        *lock = &shared_lock;
    else
        mutex_init(&(*lock)->mutex);
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
    *lock = malloc(sizeof(**lock));
    if (*lock == NULL)
        *lock = &shared_lock;
    else
        mutex_init_recursive(&(*lock)->mutex);
}

void __retarget_lock_close(_LOCK_T lock)
{
    if (lock != &shared_lock)
        free(lock);
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
    __retarget_lock_close(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
    mutex_lock(&lock->mutex);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
    mutex_lock(&lock->mutex);
}

/* Nonzero: taken. */
int __retarget_lock_try_acquire(_LOCK_T lock)
{
    return mutex_trylock(&lock->mutex) == 0;
}

int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
{
    return mutex_trylock(&lock->mutex) == 0;
}

void __retarget_lock_release(_LOCK_T lock)
{
    mutex_unlock(&lock->mutex);
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
    mutex_unlock(&lock->mutex);
}
