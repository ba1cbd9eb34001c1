/*
 * The initrd (kernel/initrd.h) as a file system, which is read-only. A node's id is its index in
 * the archive. Contents are the initrd's own memory; reading copies from there.
 *
 * Callers: see fs.h, and the table of descriptors through the files' operations. The tree never
 * changes: no locks.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/initrd.h"
#include "kernel/page.h"
#include "libc-glue/fs.h"

#define DEVICE 1 /* st_dev */
#define BLOCK_BYTES 4096
#define STAT_BLOCK_BYTES 512 /* POSIX leaves the unit open; Linux's */

static const mode_t types[] = {
    [ARCHIVE_FILE] = S_IFREG, [ARCHIVE_FOLDER] = S_IFDIR, [ARCHIVE_SYMLINK] = S_IFLNK};

static const struct archive_node *inode_of(uintptr_t id)
{
    return archive_inode(initrd_archive(), (uint32_t)id);
}

static struct fs_node node_of(uint32_t node)
{
    return (struct fs_node){&initrd_fs, node};
}

static int root(struct fs_node *out)
{
    *out = node_of(ARCHIVE_ROOT);
    return 0;
}

static mode_t type_of(uintptr_t id)
{
    return types[inode_of(id)->kind];
}

static ino_t number_of(uint32_t node)
{
    return initrd_archive()->nodes[node].inode + 1ul; /* 0 is none */
}

static int stat_node(uintptr_t id, struct stat *out)
{
    const struct archive_node *inode = inode_of(id);

    out->st_dev = DEVICE;
    out->st_ino = number_of((uint32_t)id);
    out->st_mode = types[inode->kind] | inode->mode;
    out->st_nlink = (nlink_t)inode->links;
    out->st_size = inode->kind == ARCHIVE_FOLDER ? 0 : (off_t)inode->bytes;
    out->st_blksize = BLOCK_BYTES;
    out->st_blocks = (out->st_size + STAT_BLOCK_BYTES - 1) / STAT_BLOCK_BYTES;
    out->st_atim.tv_sec = out->st_mtim.tv_sec = out->st_ctim.tv_sec = inode->mtime_s;
    return 0;
}

static int tell_of_all(struct statvfs *out)
{
    out->f_bsize = out->f_frsize = BLOCK_BYTES;
    out->f_blocks = (pv_boot.initrd_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    out->f_files = initrd_archive()->count;
    out->f_fsid = DEVICE;
    out->f_flag = ST_RDONLY;
    out->f_namemax = NAME_MAX;
    return 0;
}

static int lookup(uintptr_t folder, const char *name, size_t bytes, struct fs_node *out)
{
    uint32_t node = archive_child(initrd_archive(), (uint32_t)folder, name, bytes);

    if (node == ARCHIVE_NONE)
        return -ENOENT;
    *out = node_of(node);
    return 0;
}

static int parent(uintptr_t folder, struct fs_node *out, char name[NAME_MAX + 1])
{
    const struct archive_node *self = &initrd_archive()->nodes[folder];

    memcpy(name, self->name, self->name_bytes);
    name[self->name_bytes] = 0;
    *out = node_of(self->parent);
    return 0;
}

static ssize_t read_link(uintptr_t id, char *out, size_t bytes)
{
    const struct archive_node *link = inode_of(id);

    if (bytes > link->bytes)
        bytes = link->bytes;
    memcpy(out, link->data, bytes);
    return (ssize_t)bytes;
}

static off_t position_of(uint32_t node)
{
    return (off_t)node + FS_FIRST_POSITION;
}

/* A node's position is its index, that of its folder the first one's. A position that is none of
 * this folder's is the end. */
static int list(uintptr_t folder, off_t *position, struct fs_entries *entries)
{
    const struct archive *archive = initrd_archive();
    uint32_t at = archive->nodes[folder].first_child;

    if (*position > FS_FIRST_POSITION)
        at = *position < position_of(archive->count) ? (uint32_t)(*position - FS_FIRST_POSITION)
                                                     : ARCHIVE_NONE;
    while (at != ARCHIVE_NONE && at != ARCHIVE_ROOT && archive->nodes[at].parent == folder) {
        const struct archive_node *node = &archive->nodes[at];
        struct fs_entry entry = {.name = node->name,
                                 .name_bytes = node->name_bytes,
                                 .number = number_of(at),
                                 .type = type_of(at),
                                 .next = position_of(node->next)};

        if (!fs_add_entry(entries, &entry))
            break;
        *position = entry.next;
        at = node->next;
    }
    return 0;
}

/* --- Open files ------------------------------------------------------------------------------- */

static int stat_file(struct file *file, struct stat *out)
{
    return stat_node(file->node.id, out);
}

/* What was never changed is where it is. */
static int sync_file(struct file *file)
{
    (void)file;
    return 0;
}

static ssize_t read_file(struct file *file, const struct iovec *to, int count, off_t *position)
{
    const struct archive_node *inode = inode_of(file->node.id);
    ssize_t done = 0;

    for (int i = 0; i < count && (uint64_t)*position < inode->bytes; i++) {
        size_t left = inode->bytes - (uint64_t)*position;
        size_t bytes = to[i].iov_len < left ? to[i].iov_len : left;

        memcpy(to[i].iov_base, (const char *)inode->data + *position, bytes);
        *position += (off_t)bytes;
        done += (ssize_t)bytes;
    }
    return done;
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops file_operations = {
    .seekable = true,
    .read = read_file,
    .sync = sync_file,
    .stat = stat_file,
    .release = release,
};

static int open_file(struct fs_node node, int flags, struct file **out)
{
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EROFS;
    struct file *file = malloc(sizeof(*file));
    if (file == NULL)
        return -ENOMEM;
    fs_file_init(file, &file_operations, flags, node);
    *out = file;
    return 0;
}

const struct fs_ops initrd_fs = {
    .root = root,
    .type = type_of,
    .stat = stat_node,
    .statvfs = tell_of_all,
    .lookup = lookup,
    .parent = parent,
    .entries = list,
    .readlink = read_link,
    .open = open_file,
};
