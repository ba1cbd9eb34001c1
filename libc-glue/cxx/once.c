/*
 * pthread_once() whose function may leave by an exception: then it has not happened (C++17,
 * [thread.once.callonce]). In place of pthread_once() in programs with C++ (the linker's --wrap,
 * LINK_CXX in the Makefile).
 *
 * Compiled with -fexceptions: what `cleanup` names runs on an exception's way, too.
 */
#include <stdbool.h>

#include "libc-glue/pthread.h"

int __real_pthread_once(pthread_once_t *once, void (*init)(void));
int __wrap_pthread_once(pthread_once_t *once, void (*init)(void));

struct attempt {
    bool is_over;
    pthread_once_t *once;
    struct __pthread_cleanup *cleanup; /* handlers outside of this */
};

/* As if it was cancelled. The handler that pthread_once() has for that went with its frame. */
static void end(struct attempt *attempt)
{
    if (attempt->is_over)
        return;
    pthread_here()->cleanup = attempt->cleanup;
    __atomic_store_n(&attempt->once->__state, 0, __ATOMIC_RELEASE);
    pthread_wake(&attempt->once->__waiters, PTHREAD_WAKE_ALL);
}

int __wrap_pthread_once(pthread_once_t *once, void (*init)(void))
{
    __attribute__((cleanup(end))) struct attempt attempt = {.once = once,
                                                            .cleanup = pthread_here()->cleanup};
    int error = __real_pthread_once(once, init);

    attempt.is_over = true;
    return error;
}
