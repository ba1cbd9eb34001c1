/*
 * Paths: from text to nodes of file systems (fs.h), through mounts and symbolic links.
 *
 * Callers: system calls of libc-glue, from threads; sleep as the file systems do. Results are 0 or
 * a negative errno. Permission bits are told, not enforced: whoever runs here is root.
 */
#ifndef LIBC_GLUE_PATH_H
#define LIBC_GLUE_PATH_H

#include "libc-glue/fs.h"

/* What the last component is. */
enum path_last { PATH_NAME, PATH_DOT, PATH_DOTDOT, PATH_SLASH };

struct path {
    enum path_last last;
    bool has_slash;        /* slashes follow the last component: it should be a folder */
    struct fs_node node;   /* what the path names; none (a PATH_NAME alone): nothing is there */
    struct fs_node folder; /* of a PATH_NAME: where it is, or would be */
    size_t name_bytes;
    char name[NAME_MAX + 1]; /* of a PATH_NAME */
};

/* How the last component is taken if it is a symbolic link. */
enum path_how {
    PATH_FOLLOW,    /* it is followed */
    PATH_NO_FOLLOW, /* only where a slash follows it */
    PATH_ENTRY,     /* never: the path is about the entry of its folder; has_slash is unchecked */
};

/* Walks along a path, seen from the folder `at` (AT_FDCWD: the working folder). path_put gives up
 * what was found. -ENOENT (also an empty path), -ENOTDIR, -ELOOP, -ENAMETOOLONG, -EBADF, -ENOMEM,
 * and what the file systems say. */
int path_walk(int at, const char *path, enum path_how how, struct path *out);
void path_put(struct path *path);

/* What a path names, with a reference. -ENOENT: nothing. */
int path_node(int at, const char *path, enum path_how how, struct fs_node *out);

/* The node that an open file was opened from, with a reference. -EBADF; -EINVAL: it has none. */
int path_node_of_fd(int fd, struct fs_node *out);

#endif
