/*
 * The generator of random bytes as files: /dev/random and /dev/urandom, which are the same.
 */
#ifndef LIBC_GLUE_RANDOM_FILE_H
#define LIBC_GLUE_RANDOM_FILE_H

#include "libc-glue/file.h"

/* Whether an absolute path names one of them. */
bool random_file_is(const char *path);

/* An open file, with the caller's reference. -ENOMEM, -EEXIST, -ENOTDIR by the flags. */
int random_file_open(int flags, struct file **out);

/* What stat says; *out is zeroed. */
void random_file_stat(struct stat *out);

#endif
