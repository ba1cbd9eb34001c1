/*
 * The part of fcntl that is about locks.
 */
#ifndef LIBC_GLUE_FILE_LOCK_H
#define LIBC_GLUE_FILE_LOCK_H

#include "libc-glue/file.h"

/* F_GETLK, F_SETLK, F_SETLKW. -EINVAL, -EBADF: not open for that kind of lock. */
int file_lock_control(struct file *file, int command, struct flock *range);

#endif
