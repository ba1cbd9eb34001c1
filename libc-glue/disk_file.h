/*
 * Disks (kernel/blkdev.h) as files of devfs. Bytes have positions; transfers of any
 * alignment are made of whole blocks, and a block that is written in part is read before.
 */
#ifndef LIBC_GLUE_DISK_FILE_H
#define LIBC_GLUE_DISK_FILE_H

#include "kernel/blkdev.h"
#include "libc-glue/file.h"

/* An open file, with the caller's reference. -ENOMEM; -EACCES: to write a read-only disk. */
int disk_file_open(struct fs_node node, struct blkdev *disk, int flags, struct file **out);

/* What stat says of it; *out is zeroed. Unlike on Linux, st_size is the disk's. */
void disk_file_stat(struct blkdev *disk, struct stat *out);

#endif
