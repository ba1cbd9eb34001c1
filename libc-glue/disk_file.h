/*
 * Disks (kernel/blkdev.h) as files: /dev/vda, /dev/vdb, ... Bytes have positions; transfers of any
 * alignment are made of whole blocks, and a block that is written in part is read before.
 */
#ifndef LIBC_GLUE_DISK_FILE_H
#define LIBC_GLUE_DISK_FILE_H

#include "kernel/blkdev.h"
#include "libc-glue/file.h"

/* The disk that a path names, or NULL. Only an absolute path that is spelt "/dev/NAME" does. */
struct blkdev *disk_file_find(const char *path);

/* An open file, with the caller's reference. -ENOMEM; -EACCES: to write a read-only disk. */
int disk_file_open(struct blkdev *disk, int flags, struct file **out);

/* What stat says of it; *out is zeroed. Unlike on Linux, st_size is the disk's. */
void disk_file_stat(struct blkdev *disk, struct stat *out);

#endif
