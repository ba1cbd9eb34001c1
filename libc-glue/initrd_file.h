/*
 * Files and folders of the initrd (kernel/initrd.h) as open files. Their contents are the initrd's
 * own memory; reading copies from there.
 */
#ifndef LIBC_GLUE_INITRD_FILE_H
#define LIBC_GLUE_INITRD_FILE_H

#include "libc-glue/file.h"

/* An open file for a node of initrd_archive(), with the caller's reference. -ENOMEM. */
int initrd_file_open(uint32_t node, int flags, struct file **out);

/* The node behind an open file, or ARCHIVE_NONE: it is of another kind. */
uint32_t initrd_file_node(const struct file *file);

/* What stat says of a node; *out is zeroed. */
void initrd_file_stat(uint32_t node, struct stat *out);

#endif
