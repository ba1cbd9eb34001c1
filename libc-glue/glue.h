/*
 * Shared by the files of this folder: how a kernel result becomes a C library result.
 */
#ifndef LIBC_GLUE_GLUE_H
#define LIBC_GLUE_GLUE_H

#include <errno.h>

/* 0 or more as it is; a negative errno as errno and -1. */
static inline long glue_result(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#endif
