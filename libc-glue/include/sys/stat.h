/*
 * newlib's <sys/stat.h> with what it declares for other systems only.
 */
#ifndef LIBC_GLUE_SYS_STAT_H
#define LIBC_GLUE_SYS_STAT_H

#include_next <sys/stat.h>

/* Of tv_nsec, for utimensat and futimens. */
#define UTIME_NOW (-2L)
#define UTIME_OMIT (-1L)

#ifdef __cplusplus
extern "C" {
#endif

int lstat(const char *__restrict __path, struct stat *__restrict __out);
int mknod(const char *__path, mode_t __mode, dev_t __device);

#ifdef __cplusplus
}
#endif

#endif
