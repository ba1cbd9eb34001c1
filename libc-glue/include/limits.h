/*
 * newlib's <limits.h>, and the limits of threads (POSIX.1-2017 <limits.h>).
 */
#ifndef LIBC_GLUE_LIMITS_H
#define LIBC_GLUE_LIMITS_H

#include_next <limits.h>

#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#define PTHREAD_KEYS_MAX 128
#define PTHREAD_STACK_MIN 16384
#define SEM_VALUE_MAX 0x7fffffff

#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif
#ifndef HOST_NAME_MAX
#define HOST_NAME_MAX 255
#endif
#ifndef LOGIN_NAME_MAX
#define LOGIN_NAME_MAX 256
#endif
#ifndef TTY_NAME_MAX
#define TTY_NAME_MAX 32
#endif
#ifndef SYMLOOP_MAX
#define SYMLOOP_MAX 40
#endif

#endif
