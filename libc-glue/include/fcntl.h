/*
 * newlib's <fcntl.h> with what POSIX has beyond it.
 *
 * Source: POSIX.1-2017 <fcntl.h>.
 */
#ifndef LIBC_GLUE_FCNTL_H
#define LIBC_GLUE_FCNTL_H

#include_next <fcntl.h>

#define POSIX_FADV_NORMAL 0
#define POSIX_FADV_RANDOM 1
#define POSIX_FADV_SEQUENTIAL 2
#define POSIX_FADV_WILLNEED 3
#define POSIX_FADV_DONTNEED 4
#define POSIX_FADV_NOREUSE 5

#ifdef __cplusplus
extern "C" {
#endif

int posix_fadvise(int __fd, off_t __start, off_t __bytes, int __advice);
int posix_fallocate(int __fd, off_t __start, off_t __bytes);

#ifdef __cplusplus
}
#endif

#endif
