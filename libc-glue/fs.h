/*
 * File systems: what paths lead to (path.h). Each is one struct fs_ops, mounted at most once
 * (mount.c): the initrd, tmpfs, devfs, a folder of the host's.
 *
 * A node is a file, folder, symbolic link or device of a file system, which knows it by `id`. Who
 * has got one holds a reference and gives it up with fs_put. A file system may sleep in every
 * operation (it may ask a host), fail in it, and keep nothing between two: no one above keeps what
 * it said. It does its own locking, and decides about what happens at the same time: what a lookup
 * found may be gone in the next call.
 *
 * Callers: libc-glue, from threads. Results are 0 or more, or a negative errno.
 */
#ifndef LIBC_GLUE_FS_H
#define LIBC_GLUE_FS_H

#include <limits.h>
#include <sys/statvfs.h>

#include "libc-glue/file.h"

#define FS_BYTES_MAX INT64_MAX /* of a file */

/* Attributes to change: those that `what` names. */
enum { FS_MODE = 1, FS_OWNER = 2, FS_GROUP = 4, FS_SIZE = 8, FS_ATIME = 16, FS_MTIME = 32 };

struct fs_change {
    unsigned what;
    mode_t mode; /* the permission bits, 07777 */
    uid_t owner;
    gid_t group;
    off_t bytes; /* of a regular file: cut, or longer by zeroes; 0 or more */
    struct timespec atime, mtime;
};

/* Entries of a folder as they go to getdents. */
struct fs_entries {
    char *buffer;
    size_t bytes, done;
    bool is_full; /* an entry had no room */
    bool is_root; /* of "/": names where something is mounted are left out */
};

struct fs_entry {
    const char *name; /* name_bytes bytes, without NUL */
    size_t name_bytes;
    ino_t number;
    mode_t type; /* S_IF... */
    off_t next;  /* the position behind it */
};

/* Positions in a folder: those below are for what is not the file system's own, "." and so on. */
#define FS_FIRST_POSITION 16

/* False: no room, nothing added. */
bool fs_add_entry(struct fs_entries *entries, const struct fs_entry *entry);

/*
 * Names are 1..NAME_MAX bytes, none of them "/" or NUL, neither "." nor "..". `folder` is a folder.
 * Operations that change are NULL where nothing can be changed: -EROFS.
 */
struct fs_ops {
    int (*root)(struct fs_node *out); /* -errno: it is not there, nothing is mounted */
    void (*get)(uintptr_t id);        /* another reference. NULL, like put: nodes stay for ever */
    void (*put)(uintptr_t id);

    /* The type, S_IF...; does not sleep. */
    mode_t (*type)(uintptr_t id);
    int (*stat)(uintptr_t id, struct stat *out); /* *out is zeroed */
    int (*statvfs)(struct statvfs *out);         /* likewise */
    int (*lookup)(uintptr_t folder, const char *name, size_t bytes, struct fs_node *out);
    /* Where a folder other than the root is: in *out, as `name`. -ENOENT: it was removed. */
    int (*parent)(uintptr_t folder, struct fs_node *out, char name[NAME_MAX + 1]);
    /* Adds entries from *position on, which it advances. */
    int (*entries)(uintptr_t folder, off_t *position, struct fs_entries *entries);
    /* Its length, cut to `bytes`, without NUL. */
    ssize_t (*readlink)(uintptr_t link, char *out, size_t bytes);
    /* Of no folder or link. The file gets its node, with a reference, by fs_file_init. */
    int (*open)(struct fs_node node, int flags, struct file **out);

    int (*change)(uintptr_t id, const struct fs_change *change);
    /* -EEXIST: the name is there. *out is what was made. */
    int (*create)(uintptr_t folder, const char *name, size_t bytes, mode_t mode,
                  struct fs_node *out);
    int (*mkdir)(uintptr_t folder, const char *name, size_t bytes, mode_t mode);
    int (*symlink)(uintptr_t folder, const char *name, size_t bytes, const char *target);
    int (*link)(uintptr_t node, uintptr_t folder, const char *name, size_t bytes);
    int (*unlink)(uintptr_t folder, const char *name, size_t bytes); /* -EISDIR */
    int (*rmdir)(uintptr_t folder, const char *name, size_t bytes);  /* -ENOTDIR, -ENOTEMPTY */
    int (*rename)(uintptr_t from, const char *old_name, size_t old_bytes, uintptr_t to,
                  const char *new_name, size_t new_bytes);
};

static inline struct fs_node fs_get(struct fs_node node)
{
    if (node.fs->get != NULL)
        node.fs->get(node.id);
    return node;
}

/* Of none: nothing. */
static inline void fs_put(struct fs_node node)
{
    if (node.fs != NULL && node.fs->put != NULL)
        node.fs->put(node.id);
}

static inline bool fs_is_same(struct fs_node a, struct fs_node b)
{
    return a.fs == b.fs && a.id == b.id;
}

static inline bool fs_is_folder(struct fs_node node)
{
    return node.fs->type(node.id) == S_IFDIR;
}

static inline void fs_file_init(struct file *file, const struct file_ops *ops, int flags,
                                struct fs_node node)
{
    file_init(file, ops, flags);
    file->node = fs_get(node);
}

/* A folder of any file system as an open file (folder_file.c). -ENOMEM. */
int folder_file_open(struct fs_node folder, int flags, struct file **out);

/* --- Where they are mounted: all in "/" (mount.c) --------------------------------------------- */

struct fs_node mount_root(void); /* "/" itself */
/* What is mounted at a name of "/"; false: nothing. */
bool mount_find(const char *name, size_t bytes, struct fs_node *out);
/* The name in "/" of the n-th mount, or NULL. */
const char *mount_name(unsigned n, struct fs_node *out);
/* Where a node is the root of its file system: its name in "/", or "" for "/" itself; else NULL. */
const char *mount_name_of(struct fs_node node);

extern const struct fs_ops initrd_fs, tmpfs, devfs, p9_fs;

#endif
