/*
 * Attributes of threads, and scheduling: the kernel's fixed priorities as SCHED_OTHER (one) and
 * SCHED_RR (those above it). The kernel knows no SCHED_FIFO.
 *
 * Ordinary calls from threads; none sleeps. Source: POSIX.1-2017.
 */
#define _GNU_SOURCE
#include "libc-glue/pthread_attr.h"

#include <stddef.h>

#include "kernel/vm.h"
#include "libc-glue/glue.h"
#include "libc-glue/pthread.h"

/* All of a stack is memory from the start. What programs expect at least; newlib's printf needs a
 * few KiB. */
#define DEFAULT_STACK_BYTES (128ul * 1024)
#define RR_PRIORITIES (THREAD_PRIORITY_MAX - THREAD_PRIORITY_DEFAULT)
#define SLICE_NS 10000000 /* kernel/sched.c */

static bool is_policy(int policy)
{
    return policy == SCHED_OTHER || policy == SCHED_RR || policy == SCHED_FIFO;
}

/* The kernel's priority, -EINVAL or -ENOTSUP. */
static int kernel_priority(int policy, int priority)
{
    if (policy == SCHED_FIFO)
        return -ENOTSUP;
    if (policy == SCHED_OTHER && priority == 0)
        return THREAD_PRIORITY_DEFAULT;
    if (policy == SCHED_RR && priority >= 1 && priority <= RR_PRIORITIES)
        return THREAD_PRIORITY_DEFAULT + priority;
    return -EINVAL;
}

int pthread_attr_resolve(const pthread_attr_t *attr, struct pthread_start *out)
{
    const struct pthread *self = pthread_here();
    bool is_explicit = attr != NULL && attr->__inherit == PTHREAD_EXPLICIT_SCHED;

    *out = (struct pthread_start){
        .kernel.stack_bytes =
            attr != NULL && attr->__stack_bytes != 0 ? attr->__stack_bytes : DEFAULT_STACK_BYTES,
        .kernel.stack = attr != NULL ? attr->__stack : NULL,
        .policy = is_explicit ? attr->__policy : self->policy,
        .priority = is_explicit ? attr->__param.sched_priority : self->priority,
        .is_detached = attr != NULL && attr->__detach_state == PTHREAD_CREATE_DETACHED,
    };
    out->kernel.priority = kernel_priority(out->policy, out->priority);
    return out->kernel.priority < 0 ? -out->kernel.priority : 0;
}

int pthread_attr_init(pthread_attr_t *attr)
{
    *attr = (pthread_attr_t){.__guard_bytes = PAGE_SIZE};
    return 0;
}

int pthread_attr_destroy(pthread_attr_t *attr)
{
    (void)attr;
    return 0;
}

int pthread_attr_getdetachstate(const pthread_attr_t *attr, int *state)
{
    *state = attr->__detach_state;
    return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attr, int state)
{
    if (state != PTHREAD_CREATE_JOINABLE && state != PTHREAD_CREATE_DETACHED)
        return EINVAL;
    attr->__detach_state = state;
    return 0;
}

/* There is one guard page, whatever is asked for. */

int pthread_attr_getguardsize(const pthread_attr_t *attr, size_t *bytes)
{
    *bytes = attr->__guard_bytes;
    return 0;
}

int pthread_attr_setguardsize(pthread_attr_t *attr, size_t bytes)
{
    attr->__guard_bytes = bytes;
    return 0;
}

int pthread_attr_getinheritsched(const pthread_attr_t *attr, int *inherit)
{
    *inherit = attr->__inherit;
    return 0;
}

int pthread_attr_setinheritsched(pthread_attr_t *attr, int inherit)
{
    if (inherit != PTHREAD_INHERIT_SCHED && inherit != PTHREAD_EXPLICIT_SCHED)
        return EINVAL;
    attr->__inherit = inherit;
    return 0;
}

int pthread_attr_getschedparam(const pthread_attr_t *attr, struct sched_param *param)
{
    *param = attr->__param;
    return 0;
}

int pthread_attr_setschedparam(pthread_attr_t *attr, const struct sched_param *param)
{
    if (kernel_priority(attr->__policy, param->sched_priority) < 0)
        return EINVAL;
    attr->__param = *param;
    return 0;
}

int pthread_attr_getschedpolicy(const pthread_attr_t *attr, int *policy)
{
    *policy = attr->__policy;
    return 0;
}

int pthread_attr_setschedpolicy(pthread_attr_t *attr, int policy)
{
    if (!is_policy(policy))
        return EINVAL;
    if (policy == SCHED_FIFO)
        return ENOTSUP;
    attr->__policy = policy;
    return 0;
}

int pthread_attr_getscope(const pthread_attr_t *attr, int *scope)
{
    *scope = attr->__scope;
    return 0;
}

int pthread_attr_setscope(pthread_attr_t *attr, int scope)
{
    if (scope == PTHREAD_SCOPE_PROCESS)
        return ENOTSUP;
    if (scope != PTHREAD_SCOPE_SYSTEM)
        return EINVAL;
    attr->__scope = scope;
    return 0;
}

int pthread_attr_getstack(const pthread_attr_t *attr, void **stack, size_t *bytes)
{
    *stack = attr->__stack;
    return pthread_attr_getstacksize(attr, bytes);
}

int pthread_attr_setstack(pthread_attr_t *attr, void *stack, size_t bytes)
{
    if (stack == NULL)
        return EINVAL;
    int error = pthread_attr_setstacksize(attr, bytes);

    if (error == 0)
        attr->__stack = stack;
    return error;
}

int pthread_attr_getstacksize(const pthread_attr_t *attr, size_t *bytes)
{
    *bytes = attr->__stack_bytes != 0 ? attr->__stack_bytes : DEFAULT_STACK_BYTES;
    return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attr, size_t bytes)
{
    if (bytes < PTHREAD_STACK_MIN)
        return EINVAL;
    attr->__stack_bytes = bytes;
    return 0;
}

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    const struct pthread *p = pthread_of(thread);
    uintptr_t low, high;

    thread_stack(p->thread, &low, &high);
    pthread_attr_init(attr);
    attr->__stack = (void *)low;
    attr->__stack_bytes = high - low;
    attr->__detach_state =
        thread_is_detached(p->thread) ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE;
    attr->__policy = p->policy;
    attr->__param.sched_priority = p->priority;
    return 0;
}

/* --- Scheduling ------------------------------------------------------------------------------- */

int pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param)
{
    *policy = pthread_of(thread)->policy;
    param->sched_priority = pthread_of(thread)->priority;
    return 0;
}

int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param)
{
    struct pthread *p = pthread_of(thread);
    int priority = kernel_priority(policy, param->sched_priority);

    if (priority < 0)
        return -priority;
    p->policy = policy;
    p->priority = param->sched_priority;
    return -thread_set_priority(p->thread, priority);
}

int pthread_setschedprio(pthread_t thread, int priority)
{
    struct sched_param param = {.sched_priority = priority};

    return pthread_setschedparam(thread, pthread_of(thread)->policy, &param);
}

int sched_yield(void)
{
    thread_yield();
    return 0;
}

int pthread_yield(void)
{
    return sched_yield();
}

int sched_get_priority_min(int policy)
{
    return is_policy(policy) ? policy != SCHED_OTHER : (int)glue_result(-EINVAL);
}

int sched_get_priority_max(int policy)
{
    return !is_policy(policy)      ? (int)glue_result(-EINVAL)
           : policy != SCHED_OTHER ? RR_PRIORITIES
                                   : 0;
}

int sched_rr_get_interval(pid_t pid, struct timespec *interval)
{
    (void)pid;
    *interval = (struct timespec){.tv_nsec = SLICE_NS};
    return 0;
}

int sched_getcpu(void)
{
    return 0;
}
