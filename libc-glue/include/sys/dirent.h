/*
 * Directory entries and streams: what newlib's <dirent.h> asks of a system.
 *
 * newlib itself implements opendir and its like on open, getdents, lseek and close; DIR has the
 * members that its code works with. An entry's d_reclen keeps the next one 8-byte aligned.
 */
#ifndef _SYS_DIRENT_H
#define _SYS_DIRENT_H

#include <sys/lock.h>
#include <sys/types.h>

typedef struct {
    int dd_fd;
    long dd_loc;
    long dd_size;
    char *dd_buf;
    int dd_len;
    long dd_seek;
    _LOCK_RECURSIVE_T dd_lock;
} DIR;

#define __dirfd(dir) ((dir)->dd_fd)

struct dirent {
    ino_t d_ino;
    off_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[256];
};

/* d_type: the file type bits of st_mode, shifted down by 12. */
#define DT_UNKNOWN 0
#define DT_FIFO 1
#define DT_CHR 2
#define DT_DIR 4
#define DT_BLK 6
#define DT_REG 8
#define DT_LNK 10
#define DT_SOCK 12

#endif
