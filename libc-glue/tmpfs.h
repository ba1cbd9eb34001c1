/*
 * tmpfs's inside: what the tree of names (tmpfs.c) and open files (tmpfs_file.c) share.
 */
#ifndef LIBC_GLUE_TMPFS_H
#define LIBC_GLUE_TMPFS_H

#include "kernel/tree.h"
#include "libc-glue/fs.h"
#include "libc-glue/tmpfs_pages.h"

#define TMPFS_ENTRY_BYTES 20 /* what an entry adds to a folder's size, as Linux counts */

struct entry;

/* A file, folder or symbolic link; an fs_node's id is its address. Each name is a reference. */
struct tmpfs_inode {
    atomic_uint references;
    unsigned links;    /* names; tree_lock. Of a folder: 0: removed */
    ino_t number;      /* never changes */
    struct mutex lock; /* of what follows */
    mode_t mode;       /* its type never changes */
    uid_t owner;
    gid_t group;
    off_t bytes; /* of a folder: tree_lock; of a link: never changes */
    struct timespec atime, mtime, ctime;
    union {
        struct tmpfs_pages pages; /* of a file */
        char *target;             /* of a link, which never changes */
        struct {                  /* of a folder; tree_lock */
            struct tree entries;
            struct tmpfs_inode *parent; /* NULL: the root; nonsense once it is removed */
            struct entry *entry;        /* in parent */
        };
    };
};

static inline struct tmpfs_inode *tmpfs_inode(uintptr_t id)
{
    return (struct tmpfs_inode *)id;
}

struct timespec tmpfs_now(void);

int tmpfs_file_open(struct fs_node node, int flags, struct file **out);
/* The inode's lock is held. */
void tmpfs_file_resize(struct tmpfs_inode *inode, off_t bytes);

#endif
