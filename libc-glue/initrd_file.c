/*
 * Files and folders of the initrd as open files.
 *
 * Callers: path.c, and the table of descriptors through the operations. The tree never changes: no
 * locks but the file's own for its position.
 */
#include "libc-glue/initrd_file.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/initrd.h"

#define BLOCK_BYTES 4096
#define STAT_BLOCK_BYTES 512 /* POSIX leaves the unit open; Linux's */

/* A folder's positions: ".", "..", then nodes, each behind this many. */
#define FIRST_NODE_POSITION 2

struct initrd_file {
    struct file file;
    uint32_t node;
};

static const struct archive_node *inode_of(const struct file *file)
{
    return archive_inode(initrd_archive(), ((const struct initrd_file *)file)->node);
}

void initrd_file_stat(uint32_t node, struct stat *out)
{
    static const mode_t types[] = {
        [ARCHIVE_FILE] = S_IFREG, [ARCHIVE_FOLDER] = S_IFDIR, [ARCHIVE_SYMLINK] = S_IFLNK};
    const struct archive *archive = initrd_archive();
    const struct archive_node *inode = archive_inode(archive, node);

    out->st_dev = 1;
    out->st_ino = archive->nodes[node].inode + 1ul; /* 0 is none */
    out->st_mode = types[inode->kind] | inode->mode;
    out->st_nlink = (nlink_t)inode->links;
    out->st_size = inode->kind == ARCHIVE_FOLDER ? 0 : (off_t)inode->bytes;
    out->st_blksize = BLOCK_BYTES;
    out->st_blocks = (out->st_size + STAT_BLOCK_BYTES - 1) / STAT_BLOCK_BYTES;
    out->st_atim.tv_sec = out->st_mtim.tv_sec = out->st_ctim.tv_sec = inode->mtime_s;
}

static int stat_file(struct file *file, struct stat *out)
{
    initrd_file_stat(((struct initrd_file *)file)->node, out);
    return 0;
}

/* What was never changed is where it is. */
static int sync_file(struct file *file)
{
    (void)file;
    return 0;
}

static ssize_t read_file(struct file *file, const struct iovec *to, int count, off_t *position)
{
    const struct archive_node *inode = inode_of(file);
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

static ssize_t read_folder(struct file *file, const struct iovec *to, int count, off_t *position)
{
    (void)file, (void)to, (void)count, (void)position;
    return -EISDIR;
}

/* Writes one entry if it fits; returns its size, 0: it does not. */
static size_t put_entry(char *buffer, size_t bytes, uint32_t node, const char *name,
                        size_t name_bytes, off_t next)
{
    static const unsigned char types[] = {
        [ARCHIVE_FILE] = DT_REG, [ARCHIVE_FOLDER] = DT_DIR, [ARCHIVE_SYMLINK] = DT_LNK};
    const struct archive *archive = initrd_archive();
    struct dirent *entry = (struct dirent *)buffer;
    size_t size = (offsetof(struct dirent, d_name) + name_bytes + 1 + 7) & ~(size_t)7;

    if (size > bytes)
        return 0;
    entry->d_ino = archive->nodes[node].inode + 1ul;
    entry->d_off = next;
    entry->d_reclen = (unsigned short)size;
    entry->d_type = types[archive_inode(archive, node)->kind];
    memcpy(entry->d_name, name, name_bytes);
    entry->d_name[name_bytes] = 0;
    return size;
}

static off_t position_of(uint32_t node)
{
    return (off_t)node + FIRST_NODE_POSITION;
}

/* The entry at a position and the one behind it. Returns false at the end; a position that is none
 * of this folder's is the end, too. */
static bool entry_at(const struct initrd_file *folder, off_t position, uint32_t *node,
                     struct archive_text *name, off_t *next)
{
    const struct archive *archive = initrd_archive();
    const struct archive_node *self = &archive->nodes[folder->node];

    if (position < FIRST_NODE_POSITION) {
        *node = position == 0 ? folder->node : self->parent;
        *name = (struct archive_text){"..", (size_t)position + 1};
        *next = position == 0 ? 1 : position_of(self->first_child);
        return true;
    }
    if (position >= position_of(archive->count))
        return false;
    *node = (uint32_t)(position - FIRST_NODE_POSITION);
    if (archive->nodes[*node].parent != folder->node || *node == ARCHIVE_ROOT)
        return false;
    *name = (struct archive_text){archive->nodes[*node].name, archive->nodes[*node].name_bytes};
    *next = position_of(archive->nodes[*node].next);
    return true;
}

static ssize_t folder_entries(struct file *file, void *buffer, size_t bytes, off_t *position)
{
    struct archive_text name;
    size_t done = 0;
    uint32_t node;
    off_t next;

    while (entry_at((struct initrd_file *)file, *position, &node, &name, &next)) {
        size_t size =
            put_entry((char *)buffer + done, bytes - done, node, name.text, name.bytes, next);

        if (size == 0)
            return done > 0 ? (ssize_t)done : -EINVAL; /* Linux's getdents(2) */
        done += size;
        *position = next;
    }
    return (ssize_t)done;
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

static const struct file_ops folder_operations = {
    .seekable = true,
    .read = read_folder,
    .sync = sync_file,
    .stat = stat_file,
    .entries = folder_entries,
    .release = release,
};

int initrd_file_open(uint32_t node, int flags, struct file **out)
{
    struct initrd_file *file = malloc(sizeof(*file));
    bool is_folder = archive_inode(initrd_archive(), node)->kind == ARCHIVE_FOLDER;

    if (file == NULL)
        return -ENOMEM;
    file_init(&file->file, is_folder ? &folder_operations : &file_operations, flags);
    file->node = node;
    *out = &file->file;
    return 0;
}

uint32_t initrd_file_node(const struct file *file)
{
    bool is_ours = file->ops == &file_operations || file->ops == &folder_operations;

    return is_ours ? ((const struct initrd_file *)file)->node : ARCHIVE_NONE;
}
