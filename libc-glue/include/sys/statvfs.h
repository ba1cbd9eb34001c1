/*
 * What a file system tells of itself.
 *
 * Source: POSIX.1-2017 <sys/statvfs.h>; ST_NOATIME and those behind it are Linux's.
 */
#ifndef _SYS_STATVFS_H
#define _SYS_STATVFS_H

#include <sys/cdefs.h>
#include <sys/types.h>

struct statvfs {
    unsigned long f_bsize;  /* bytes that are best transferred at once */
    unsigned long f_frsize; /* bytes of a block */
    fsblkcnt_t f_blocks, f_bfree, f_bavail;
    fsfilcnt_t f_files, f_ffree, f_favail;
    unsigned long f_fsid;
    unsigned long f_flag;    /* ST_... */
    unsigned long f_namemax; /* bytes of a name */
};

#define ST_RDONLY 1
#define ST_NOSUID 2
#define ST_NODEV 4
#define ST_NOEXEC 8

__BEGIN_DECLS

int statvfs(const char *__restrict path, struct statvfs *__restrict out);
int fstatvfs(int fd, struct statvfs *out);

__END_DECLS

#endif
