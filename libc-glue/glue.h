/*
 * Shared by the files of this folder: how a kernel result becomes a C library result.
 */
#ifndef LIBC_GLUE_GLUE_H
#define LIBC_GLUE_GLUE_H

#include <errno.h>
#include <stdbool.h>

#include "kernel/thread.h"

/* 0 or more as it is; a negative errno as errno and -1. */
static inline long glue_result(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* For calls that sleep, when they hold nothing any more: what interrupted them happens here.
 * Whether the call shall begin anew (SA_RESTART), as it does unless signal(7) says otherwise. */
static inline bool glue_restarts(long result)
{
    return __builtin_expect(result == -EINTR, false) && thread_serve_interrupt();
}

/* For calls that end with EINTR whatever interrupted them. */
static inline long glue_interruptible_result(long result)
{
    if (__builtin_expect(result == -EINTR, false))
        thread_serve_interrupt();
    return glue_result(result);
}

#endif
