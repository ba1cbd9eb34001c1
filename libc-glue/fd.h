/*
 * The one table of descriptors: what names open files (file.h) of every kind.
 *
 * Callers: system calls of libc-glue, from threads; none sleeps longer than malloc may. Results are
 * 0 or more, or a negative errno.
 */
#ifndef LIBC_GLUE_FD_H
#define LIBC_GLUE_FD_H

#include "libc-glue/file.h"

#define FD_LIMIT 65536 /* descriptors are below */

void fd_init(void); /* 0, 1 and 2 become the console */

/* New descriptors are below (RLIMIT_NOFILE): FD_LIMIT or less. Those that are open stay. */
int fd_limit(void);
void fd_set_limit(int limit);

/* The file that fd names, with a reference for the caller. -EBADF. */
int fd_get(int fd, struct file **out);

/*
 * A new descriptor: first reserved, so that making its file can fail before or after; then it gets
 * the file with the caller's reference, or is given back. The lowest free one from `lowest` on.
 * -EMFILE, -ENOMEM. Of `flags` counts O_CLOEXEC.
 */
int fd_reserve(int lowest, int flags);
void fd_install(int fd, struct file *file);
void fd_cancel(int fd);
/* Both at once. In case of an error the reference stays the caller's. */
int fd_open(struct file *file, int flags);

#endif
