/*
 * Cancellation, and the handlers that run at a thread's end.
 *
 * A cancellation point is a call that the kernel can interrupt: a thread that is cancelled acts
 * when it would sleep in one, or in pthread_testcancel; one whose type is asynchronous, at once.
 * Ordinary calls from threads. Source: POSIX.1-2017, 2.9.5.
 */
#include "libc-glue/pthread.h"

#include <stddef.h>

static bool must_act(const struct pthread *p)
{
    return p->is_cancelled && p->cancel_state == PTHREAD_CANCEL_ENABLE;
}

void pthread_testcancel(void)
{
    if (must_act(&pthread_own))
        pthread_exit(PTHREAD_CANCELED);
}

static void act(bool in_call)
{
    if (!must_act(&pthread_own))
        return;
    if (in_call || pthread_own.cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)
        pthread_exit(PTHREAD_CANCELED);
    thread_interrupt(pthread_own.thread); /* the next call that would sleep */
}

int pthread_cancel(pthread_t thread)
{
    struct pthread *p = pthread_of(thread);

    pthread_act_on_cancel = act;
    pthread_interrupts();
    /* An ended thread, which may still be joined, is on the list no more. */
    bool unmask = spin_lock(&pthread_all_lock);
    p->is_cancelled = true;
    if (!p->is_ending && p->cancel_state == PTHREAD_CANCEL_ENABLE)
        thread_interrupt(p->thread);
    spin_unlock(&pthread_all_lock, unmask);
    thread_give_way();
    if (p == &pthread_own && p->cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)
        pthread_testcancel();
    return 0;
}

int pthread_setcancelstate(int state, int *old)
{
    struct pthread *self = pthread_here();

    if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE)
        return EINVAL;
    if (old != NULL)
        *old = self->cancel_state;
    self->cancel_state = state;
    if (must_act(self))
        thread_interrupt(self->thread);
    return 0;
}

int pthread_setcanceltype(int type, int *old)
{
    struct pthread *self = pthread_here();

    if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS)
        return EINVAL;
    if (old != NULL)
        *old = self->cancel_type;
    self->cancel_type = type;
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
        pthread_testcancel();
    return 0;
}

void __pthread_cleanup_push(struct __pthread_cleanup *cleanup)
{
    struct pthread *self = pthread_here();

    cleanup->__outer = self->cleanup;
    self->cleanup = cleanup;
}

void __pthread_cleanup_pop(struct __pthread_cleanup *cleanup, int execute)
{
    pthread_own.cleanup = cleanup->__outer;
    if (execute)
        cleanup->__routine(cleanup->__arg);
}
