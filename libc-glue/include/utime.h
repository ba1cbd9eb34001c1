/* newlib's, which leaves the function to systems. */
#ifndef LIBC_GLUE_UTIME_H
#define LIBC_GLUE_UTIME_H

#include <sys/types.h>

#include_next <utime.h>

#ifdef __cplusplus
extern "C" {
#endif

int utime(const char *__path, const struct utimbuf *__times);

#ifdef __cplusplus
}
#endif

#endif
