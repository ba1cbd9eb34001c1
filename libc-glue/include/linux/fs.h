/*
 * Control of disks (/dev/vda, ...) by ioctl. Numbers are Linux's, and so is the file's name, where
 * programs look for them.
 */
#ifndef _LINUX_FS_H
#define _LINUX_FS_H

#define BLKROGET 0x125e         /* int *: read-only? */
#define BLKGETSIZE 0x1260       /* unsigned long *: sectors of 512 bytes */
#define BLKFLSBUF 0x1261        /* as fsync */
#define BLKSSZGET 0x1268        /* int *: bytes of a block, the least that is transferred */
#define BLKDISCARD 0x1277       /* uint64_t[2]: start and length in bytes */
#define BLKPBSZGET 0x127b       /* unsigned *: bytes of a physical block */
#define BLKZEROOUT 0x127f       /* as BLKDISCARD */
#define BLKGETSIZE64 0x80081272 /* uint64_t *: bytes */

#endif
