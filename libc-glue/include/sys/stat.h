/*
 * newlib's <sys/stat.h> with what it declares for other systems only.
 */
#ifndef LIBC_GLUE_SYS_STAT_H
#define LIBC_GLUE_SYS_STAT_H

#include_next <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

int lstat(const char *__restrict __path, struct stat *__restrict __out);
int mknod(const char *__path, mode_t __mode, dev_t __device);

#ifdef __cplusplus
}
#endif

#endif
