/*
 * What is mounted where: the initrd is "/", and other file systems take the place of entries of
 * "/". An entry of the initrd with the same name is hidden.
 *
 * Callers: see fs.h. Locks: none; the table never changes.
 */
#include <stddef.h>
#include <string.h>

#include "libc-glue/fs.h"

static const struct mount {
    const char *name;
    const struct fs_ops *fs;
} mounts[] = {
    {"dev", &devfs}, {"tmp", &tmpfs}, {"host", &p9_fs}, /* the last: it may not be there */
};

#define COUNT (sizeof(mounts) / sizeof(mounts[0]))

struct fs_node mount_root(void)
{
    struct fs_node root;

    initrd_fs.root(&root);
    return root;
}

bool mount_find(const char *name, size_t bytes, struct fs_node *out)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strncmp(mounts[i].name, name, bytes) == 0 && mounts[i].name[bytes] == 0)
            return mounts[i].fs->root(out) == 0;
    return false;
}

const char *mount_name(unsigned n, struct fs_node *out)
{
    return n < COUNT && mounts[n].fs->root(out) == 0 ? mounts[n].name : NULL;
}

const char *mount_name_of(struct fs_node node)
{
    struct fs_node root;
    const char *name = node.fs == &initrd_fs ? "" : NULL;

    if (node.fs->root(&root) != 0)
        return NULL;
    bool is_root = fs_is_same(node, root);
    fs_put(root);
    for (size_t i = 0; i < COUNT; i++)
        if (mounts[i].fs == node.fs)
            name = mounts[i].name;
    return is_root ? name : NULL;
}
