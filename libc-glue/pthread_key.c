/*
 * Thread-specific data.
 *
 * Ordinary calls from threads; none sleeps. Lock: keys_lock protects `keys`. Each key has a number
 * that is new whenever it is created, so that what a thread stored under a deleted key is gone.
 * Source: POSIX.1-2017.
 */
#include <stddef.h>

#include "libc-glue/pthread.h"

static struct spinlock keys_lock;
static struct {
    unsigned generation; /* odd: in use */
    void (*destructor)(void *);
} keys[PTHREAD_KEYS_MAX];

static __thread struct {
    unsigned generation; /* of the key when it was stored */
    void *value;
} values[PTHREAD_KEYS_MAX];

static unsigned generation_of(pthread_key_t key)
{
    return __atomic_load_n(&keys[key].generation, __ATOMIC_RELAXED);
}

/* The key's destructor, if the calling thread has something for it to destroy. */
static void destroy_value(pthread_key_t key)
{
    bool unmask = spin_lock(&keys_lock);
    void (*destructor)(void *) = keys[key].destructor;
    bool is_current = values[key].generation == keys[key].generation;

    spin_unlock(&keys_lock, unmask);
    void *value = values[key].value;
    values[key].value = NULL;
    if (is_current && destructor != NULL)
        destructor(value);
}

/* Destructors may store anew, so there are several rounds. */
static void run_destructors(void)
{
    bool any = true;

    for (int round = 0; any && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
        any = false;
        for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++) {
            if (values[key].value == NULL)
                continue;
            any = true;
            destroy_value(key);
        }
    }
}

int pthread_key_create(pthread_key_t *out, void (*destructor)(void *))
{
    bool unmask = spin_lock(&keys_lock);
    pthread_key_t key = 0;

    pthread_run_key_destructors = run_destructors;
    while (key < PTHREAD_KEYS_MAX && keys[key].generation % 2 != 0)
        key++;
    if (key < PTHREAD_KEYS_MAX) {
        keys[key].generation++;
        keys[key].destructor = destructor;
        *out = key;
    }
    spin_unlock(&keys_lock, unmask);
    return key < PTHREAD_KEYS_MAX ? 0 : EAGAIN;
}

int pthread_key_delete(pthread_key_t key)
{
    int error = EINVAL;
    bool unmask = spin_lock(&keys_lock);

    if (key < PTHREAD_KEYS_MAX && keys[key].generation % 2 != 0) {
        keys[key].generation++;
        error = 0;
    }
    spin_unlock(&keys_lock, unmask);
    return error;
}

void *pthread_getspecific(pthread_key_t key)
{
    if (key >= PTHREAD_KEYS_MAX || values[key].generation != generation_of(key))
        return NULL;
    return values[key].value;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    if (key >= PTHREAD_KEYS_MAX || generation_of(key) % 2 == 0)
        return EINVAL;
    values[key].generation = generation_of(key);
    values[key].value = (void *)(uintptr_t)value;
    return 0;
}
