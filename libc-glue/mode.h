/*
 * The mask of permission bits that new files do without (umask).
 */
#ifndef LIBC_GLUE_MODE_H
#define LIBC_GLUE_MODE_H

#include <sys/types.h>

mode_t mode_mask(void);

#endif
