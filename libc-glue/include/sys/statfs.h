/*
 * Linux's elder relative of <sys/statvfs.h>.
 *
 * Source: Linux's statfs(2).
 */
#ifndef _SYS_STATFS_H
#define _SYS_STATFS_H

#include <sys/cdefs.h>
#include <sys/types.h>

typedef struct {
    int __val[2];
} fsid_t;

struct statfs {
    long f_type; /* ..._MAGIC */
    long f_bsize;
    fsblkcnt_t f_blocks, f_bfree, f_bavail;
    fsfilcnt_t f_files, f_ffree;
    fsid_t f_fsid;
    long f_namelen;
    long f_frsize;
    long f_flags;
    long f_spare[4];
};

__BEGIN_DECLS

int statfs(const char *path, struct statfs *out);
int fstatfs(int fd, struct statfs *out);

__END_DECLS

#endif
