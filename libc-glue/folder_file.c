/*
 * Folders of any file system as open files, to list them and to begin paths at.
 *
 * Callers: open.c, and the table of descriptors through the operations.
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/fs.h"

#define FIRST_MOUNT_POSITION 2 /* behind "." and ".." */

bool fs_add_entry(struct fs_entries *entries, const struct fs_entry *entry)
{
    struct dirent *out = (struct dirent *)(entries->buffer + entries->done);
    size_t size = (offsetof(struct dirent, d_name) + entry->name_bytes + 1 + 7) & ~(size_t)7;
    struct fs_node mounted;

    if (entries->is_root && mount_find(entry->name, entry->name_bytes, &mounted)) {
        fs_put(mounted);
        return true;
    }
    if (size > entries->bytes - entries->done) {
        entries->is_full = true;
        return false;
    }
    out->d_ino = entry->number;
    out->d_off = entry->next;
    out->d_reclen = (unsigned short)size;
    out->d_type = (unsigned char)(entry->type >> 12);
    memcpy(out->d_name, entry->name, entry->name_bytes);
    out->d_name[entry->name_bytes] = 0;
    entries->done += size;
    return true;
}

/* An entry that no file system has of its own: ".", "..", where something is mounted. */
static bool add(struct fs_entries *entries, off_t *position, const char *name, struct fs_node node)
{
    struct stat info = {0};
    struct fs_entry entry = {.name = name,
                             .name_bytes = strlen(name),
                             .number = node.fs->stat(node.id, &info) == 0 ? info.st_ino : 1,
                             .type = S_IFDIR,
                             .next = *position + 1};
    bool is_root = entries->is_root;

    entries->is_root = false;
    bool fits = fs_add_entry(entries, &entry);
    entries->is_root = is_root;
    if (!fits)
        return false;
    *position = entry.next;
    return true;
}

static struct fs_node parent_of(struct fs_node folder)
{
    struct fs_node parent;
    char name[NAME_MAX + 1];

    if (mount_name_of(folder) != NULL)
        return mount_root();
    if (folder.fs->parent(folder.id, &parent, name) != 0)
        return fs_get(folder);
    return parent;
}

/* Up to FS_FIRST_POSITION. False: no room. */
static bool add_own(struct fs_node folder, struct fs_entries *entries, off_t *position)
{
    if (*position == 0 && !add(entries, position, ".", folder))
        return false;
    if (*position == 1) {
        struct fs_node parent = parent_of(folder);
        bool fits = add(entries, position, "..", parent);

        fs_put(parent);
        if (!fits)
            return false;
    }
    while (entries->is_root && *position < FS_FIRST_POSITION) {
        struct fs_node root;
        const char *name = mount_name((unsigned)(*position - FIRST_MOUNT_POSITION), &root);

        if (name == NULL)
            break;
        bool fits = add(entries, position, name, root);
        fs_put(root);
        if (!fits)
            return false;
    }
    *position = FS_FIRST_POSITION;
    return true;
}

static ssize_t list_folder(struct file *file, void *buffer, size_t bytes, off_t *position)
{
    struct fs_node folder = file->node;
    struct fs_entries entries = {
        .buffer = buffer, .bytes = bytes, .is_root = fs_is_same(folder, mount_root())};
    int error = 0;

    if (*position >= FS_FIRST_POSITION || add_own(folder, &entries, position))
        error = folder.fs->entries(folder.id, position, &entries);
    if (entries.done > 0)
        return (ssize_t)entries.done;
    return entries.is_full ? -EINVAL : error; /* Linux's getdents(2) */
}

static ssize_t read_folder(struct file *file, const struct iovec *to, int count, off_t *position)
{
    (void)file, (void)to, (void)count, (void)position;
    return -EISDIR;
}

static int stat_folder(struct file *file, struct stat *out)
{
    return file->node.fs->stat(file->node.id, out);
}

static int sync_folder(struct file *file)
{
    (void)file;
    return 0;
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops operations = {
    .seekable = true,
    .read = read_folder,
    .sync = sync_folder,
    .stat = stat_folder,
    .entries = list_folder,
    .release = release,
};

int folder_file_open(struct fs_node folder, int flags, struct file **out)
{
    struct file *file = malloc(sizeof(*file));

    if (file == NULL)
        return -ENOMEM;
    fs_file_init(file, &operations, flags, folder);
    *out = file;
    return 0;
}
