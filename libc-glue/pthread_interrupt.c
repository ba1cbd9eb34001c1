/*
 * What a thread does that was interrupted (kernel/thread.h): delivers signals, acts on a
 * cancellation.
 *
 * Called by the kernel in the thread's context.
 */
#include "libc-glue/pthread.h"

#include <errno.h>
#include <stddef.h>

void (*pthread_act_on_cancel)(bool in_call);
bool (*pthread_deliver_signals)(void);

static bool interrupted(bool in_call)
{
    int saved_errno = errno;

    if (pthread_own.defers_signals && !in_call) {
        thread_interrupt(pthread_own.thread);
        return true;
    }
    pthread_own.defers_signals = false;
    bool restart = true;

    if (pthread_deliver_signals != NULL)
        restart = pthread_deliver_signals();
    if (pthread_act_on_cancel != NULL)
        pthread_act_on_cancel(in_call);
    errno = saved_errno;
    return restart;
}

void pthread_interrupts(void)
{
    thread_on_interrupt(interrupted);
}
