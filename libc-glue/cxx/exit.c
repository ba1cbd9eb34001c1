/*
 * The end of what is local to a thread: destructors of C++'s thread_local objects, in the reverse
 * order of their construction, before everything else that a thread's end or exit() does.
 *
 * Called by libstdc++ (HAVE___CXA_THREAD_ATEXIT_IMPL), and in place of exit() in programs with C++
 * (the linker's --wrap, LINK_CXX in the Makefile). Locks: none; each thread has its own list.
 * Source: C++17, [basic.start.term]; Itanium C++ ABI, 3.3.5 for the shape of the calls.
 */
#include <pthread.h>
#include <stdlib.h>

#include "kernel/panic.h"

/* Names the program to __cxa_atexit. There is one, so that nobody compares. */
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

struct destructor {
    void (*fn)(void *);
    void *object;
    struct destructor *next;
};

static __thread struct destructor *destructors;
static pthread_key_t key; /* whose destructor runs them in a thread that ends */

int __cxa_thread_atexit_impl(void (*fn)(void *), void *object, void *dso);
_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);

static void destroy_all(void *unused)
{
    struct destructor *d;

    (void)unused;
    while ((d = destructors) != NULL) {
        destructors = d->next;
        d->fn(d->object);
        free(d);
    }
}

/* Before the program's constructors, so that it is the first key and those of the program follow.
 */
static void __attribute__((constructor(101))) create_key(void)
{
    if (pthread_key_create(&key, destroy_all) != 0)
        panic("no key for thread_local destructors");
}

/* The caller ends the program if this fails. */
int __cxa_thread_atexit_impl(void (*fn)(void *), void *object, void *dso)
{
    struct destructor *d = malloc(sizeof(*d));

    (void)dso;
    if (d == NULL)
        return -1;
    *d = (struct destructor){fn, object, destructors};
    destructors = d;
    pthread_setspecific(key, &destructors);
    return 0;
}

_Noreturn void __wrap_exit(int status)
{
    destroy_all(NULL);
    __real_exit(status);
}
