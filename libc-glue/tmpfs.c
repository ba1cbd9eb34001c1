/*
 * tmpfs: files in memory, at /tmp. The parameter tmpfs=SIZE bounds their contents; default: half of
 * the memory that is free at the first use. Contents are tmpfs_pages.c's, files' own operations
 * tmpfs_file.c's; here is the tree of names.
 *
 * Callers: see fs.h. Locks: tree_lock protects folders' entries, and what of an inode says where it
 * is (struct tmpfs_inode); an inode's own lock the rest. Order: tree_lock, inode, pages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/tree.h"
#include "libc-glue/tmpfs.h"

#define DEVICE 3 /* st_dev */
#define SPARE_INODES 64
#define HASH_BITS 48
#define TWIN_BITS 14 /* together with the hash: the tree's key, 62 bits */

/* A name in a folder. */
struct entry {
    struct tree_node node; /* key: the name's hash, then a number among those with the same */
    struct tmpfs_inode *inode;
    uint8_t name_bytes;
    char name[];
};

static struct mutex tree_lock = MUTEX_INIT;
static struct tmpfs_inode *root_inode; /* NULL: not there yet */
static uint64_t inodes, inodes_max, last_number;

struct timespec tmpfs_now(void)
{
    uint64_t ns = clock_wall_ns();

    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND),
                             .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

static struct fs_node node_of(struct tmpfs_inode *inode)
{
    return (struct fs_node){&tmpfs, (uintptr_t)inode};
}

/* --- Inodes ----------------------------------------------------------------------------------- */

/* tree_lock held. One reference, the caller's. */
static int make_inode(mode_t mode, struct tmpfs_inode **out)
{
    struct tmpfs_inode *inode = inodes < inodes_max ? calloc(1, sizeof(*inode)) : NULL;

    if (inode == NULL)
        return -ENOSPC;
    __atomic_fetch_add(&inodes, 1, __ATOMIC_RELAXED);
    inode->references = 1;
    inode->number = ++last_number;
    inode->mode = mode;
    inode->links = 1;
    inode->atime = inode->mtime = inode->ctime = tmpfs_now();
    *out = inode;
    return 0;
}

static void get(uintptr_t id)
{
    atomic_fetch_add_explicit(&tmpfs_inode(id)->references, 1, memory_order_relaxed);
}

static void put(uintptr_t id)
{
    struct tmpfs_inode *inode = tmpfs_inode(id);

    /* Release and acquire: what others did to the inode comes before its end. */
    if (atomic_fetch_sub_explicit(&inode->references, 1, memory_order_acq_rel) != 1)
        return;
    if (S_ISREG(inode->mode))
        tmpfs_pages_cut(&inode->pages, 0);
    else if (S_ISLNK(inode->mode))
        free(inode->target);
    free(inode);
    __atomic_fetch_sub(&inodes, 1, __ATOMIC_RELAXED);
}

static void touch(struct tmpfs_inode *inode, bool contents)
{
    mutex_lock(&inode->lock);
    inode->ctime = tmpfs_now();
    if (contents)
        inode->mtime = inode->ctime;
    mutex_unlock(&inode->lock);
}

/* --- Entries; tree_lock held ------------------------------------------------------------------ */

/* FNV-1a (draft-eastlake-fnv, 5), folded to HASH_BITS. Never 0, so that keys leave room for the
 * positions below FS_FIRST_POSITION. */
static uint64_t first_key(const char *name, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3;
    hash = (hash ^ hash >> HASH_BITS) & ((UINT64_C(1) << HASH_BITS) - 1);
    return (hash | 1) << TWIN_BITS;
}

static struct entry *entry_of(struct tree_node *node)
{
    return tree_owner(node, struct entry, node);
}

/* The first with a key of `key` or more. */
static struct entry *entry_from(struct tmpfs_inode *folder, uint64_t key)
{
    struct tree_node *before = tree_last_up_to(&folder->entries, key - 1);

    return entry_of(before != NULL ? tree_next(before) : tree_first(&folder->entries));
}

/* NULL: none; then *free_key is one for such an entry. */
static struct entry *find_entry(struct tmpfs_inode *folder, const char *name, size_t bytes,
                                uint64_t *free_key)
{
    uint64_t key = first_key(name, bytes), hash = key >> TWIN_BITS;
    struct entry *entry = entry_from(folder, key);

    *free_key = key;
    for (; entry != NULL && entry->node.key >> TWIN_BITS == hash;
         entry = entry_of(tree_next(&entry->node))) {
        if (entry->name_bytes == bytes && memcmp(entry->name, name, bytes) == 0)
            return entry;
        if (entry->node.key == *free_key)
            ++*free_key;
    }
    return NULL;
}

/* Takes over the inode's reference. -ENOSPC. */
static int add_entry(struct tmpfs_inode *folder, const char *name, size_t bytes, uint64_t key,
                     struct tmpfs_inode *inode)
{
    struct entry *entry = malloc(sizeof(*entry) + bytes);

    if (entry == NULL || key >> TWIN_BITS != first_key(name, bytes) >> TWIN_BITS) {
        free(entry);
        return -ENOSPC;
    }
    *entry = (struct entry){.node.key = key, .inode = inode, .name_bytes = (uint8_t)bytes};
    memcpy(entry->name, name, bytes);
    tree_insert(&folder->entries, &entry->node);
    folder->bytes += TMPFS_ENTRY_BYTES;
    if (S_ISDIR(inode->mode)) {
        inode->parent = folder;
        inode->entry = entry;
        folder->links++;
    }
    touch(folder, true);
    return 0;
}

/* The inode's reference is the caller's. */
static struct tmpfs_inode *remove_entry(struct tmpfs_inode *folder, struct entry *entry)
{
    struct tmpfs_inode *inode = entry->inode;

    tree_remove(&folder->entries, &entry->node);
    folder->bytes -= TMPFS_ENTRY_BYTES;
    if (S_ISDIR(inode->mode))
        folder->links--;
    free(entry);
    touch(folder, true);
    return inode;
}

static bool is_removed(const struct tmpfs_inode *folder)
{
    return folder->links == 0;
}

/* --- Asking ----------------------------------------------------------------------------------- */

/* tree_lock held. */
static int begin(void)
{
    struct page_counts memory;
    size_t bytes;

    if (cmdline_get_size("tmpfs", &bytes) != 0) {
        page_counts(&memory);
        bytes = memory.free_pages * PAGE_SIZE / 2;
    }
    tmpfs_pages_limit(bytes / TMPFS_PAGE_BYTES);
    inodes_max = bytes / TMPFS_PAGE_BYTES + SPARE_INODES;
    int error = make_inode(S_IFDIR | S_ISVTX | 0777, &root_inode);
    if (error == 0)
        root_inode->links = 2;
    else
        log_error("tmpfs: no memory for it");
    return error;
}

static int root(struct fs_node *out)
{
    int error = 0;

    if (__atomic_load_n(&root_inode, __ATOMIC_ACQUIRE) == NULL) {
        mutex_lock(&tree_lock);
        if (root_inode == NULL)
            error = begin();
        mutex_unlock(&tree_lock);
    }
    if (error == 0)
        *out = fs_get(node_of(root_inode));
    return error;
}

static mode_t type_of(uintptr_t id)
{
    return tmpfs_inode(id)->mode & S_IFMT;
}

static int stat_node(uintptr_t id, struct stat *out)
{
    struct tmpfs_inode *inode = tmpfs_inode(id);

    mutex_lock(&inode->lock);
    out->st_dev = DEVICE;
    out->st_ino = inode->number;
    out->st_mode = inode->mode;
    out->st_nlink = (nlink_t)inode->links;
    out->st_uid = inode->owner;
    out->st_gid = inode->group;
    out->st_size = inode->bytes;
    out->st_blksize = TMPFS_PAGE_BYTES;
    if (S_ISREG(inode->mode))
        out->st_blocks = (blkcnt_t)(inode->pages.count * (TMPFS_PAGE_BYTES / 512));
    out->st_atim = inode->atime;
    out->st_mtim = inode->mtime;
    out->st_ctim = inode->ctime;
    mutex_unlock(&inode->lock);
    return 0;
}

static int tell_of_all(struct statvfs *out)
{
    struct tmpfs_page_counts pages;

    tmpfs_pages_counts(&pages);
    out->f_bsize = out->f_frsize = TMPFS_PAGE_BYTES;
    out->f_blocks = pages.limit;
    out->f_bfree = out->f_bavail = pages.limit - pages.used;
    out->f_files = inodes_max;
    out->f_ffree = out->f_favail = inodes_max - __atomic_load_n(&inodes, __ATOMIC_RELAXED);
    out->f_fsid = DEVICE;
    out->f_namemax = NAME_MAX;
    return 0;
}

static int lookup(uintptr_t folder, const char *name, size_t bytes, struct fs_node *out)
{
    uint64_t key;

    mutex_lock(&tree_lock);
    struct entry *entry = find_entry(tmpfs_inode(folder), name, bytes, &key);
    if (entry != NULL)
        *out = fs_get(node_of(entry->inode));
    mutex_unlock(&tree_lock);
    return entry != NULL ? 0 : -ENOENT;
}

static int parent(uintptr_t folder, struct fs_node *out, char name[NAME_MAX + 1])
{
    struct tmpfs_inode *inode = tmpfs_inode(folder);
    int error = -ENOENT;

    mutex_lock(&tree_lock);
    if (!is_removed(inode)) {
        memcpy(name, inode->entry->name, inode->entry->name_bytes);
        name[inode->entry->name_bytes] = 0;
        *out = fs_get(node_of(inode->parent));
        error = 0;
    }
    mutex_unlock(&tree_lock);
    return error;
}

/* An entry's position is its key, so that others may come and go. */
static int list(uintptr_t folder, off_t *position, struct fs_entries *entries)
{
    mutex_lock(&tree_lock);
    struct entry *entry = entry_from(tmpfs_inode(folder), (uint64_t)*position);
    for (; entry != NULL; entry = entry_of(tree_next(&entry->node))) {
        struct fs_entry plain = {.name = entry->name,
                                 .name_bytes = entry->name_bytes,
                                 .number = entry->inode->number,
                                 .type = entry->inode->mode & S_IFMT,
                                 .next = (off_t)entry->node.key + 1};

        if (!fs_add_entry(entries, &plain))
            break;
        *position = plain.next;
    }
    mutex_unlock(&tree_lock);
    return 0;
}

static ssize_t read_link(uintptr_t id, char *out, size_t bytes)
{
    const struct tmpfs_inode *link = tmpfs_inode(id);

    if (bytes > (size_t)link->bytes)
        bytes = (size_t)link->bytes;
    memcpy(out, link->target, bytes);
    return (ssize_t)bytes;
}

/* --- Making ----------------------------------------------------------------------------------- */

/* tree_lock held. A new name for a new inode, which has two references if out is given. */
static int make(uintptr_t id, const char *name, size_t bytes, mode_t mode, const char *target,
                struct tmpfs_inode **out)
{
    struct tmpfs_inode *folder = tmpfs_inode(id), *inode;
    uint64_t key;

    if (is_removed(folder))
        return -ENOENT;
    if (find_entry(folder, name, bytes, &key) != NULL)
        return -EEXIST;
    int error = make_inode(mode, &inode);
    if (error != 0)
        return error;
    if (S_ISDIR(mode))
        inode->links = 2;
    if (target != NULL) {
        inode->target = strdup(target);
        inode->bytes = (off_t)strlen(target);
        error = inode->target != NULL ? 0 : -ENOSPC;
    }
    if (error == 0)
        error = add_entry(folder, name, bytes, key, inode);
    if (error != 0)
        put((uintptr_t)inode);
    else if (out != NULL)
        *out = inode;
    return error;
}

static int make_entry(uintptr_t id, const char *name, size_t bytes, mode_t mode, const char *target,
                      struct fs_node *out)
{
    struct tmpfs_inode *inode;

    mutex_lock(&tree_lock);
    int error = make(id, name, bytes, mode, target, &inode);
    if (error == 0 && out != NULL)
        *out = fs_get(node_of(inode));
    mutex_unlock(&tree_lock);
    return error;
}

static int create(uintptr_t folder, const char *name, size_t bytes, mode_t mode,
                  struct fs_node *out)
{
    return make_entry(folder, name, bytes, S_IFREG | mode, NULL, out);
}

static int make_folder(uintptr_t folder, const char *name, size_t bytes, mode_t mode)
{
    return make_entry(folder, name, bytes, S_IFDIR | mode, NULL, NULL);
}

static int make_symlink(uintptr_t folder, const char *name, size_t bytes, const char *target)
{
    return make_entry(folder, name, bytes, S_IFLNK | 0777, target, NULL);
}

/* tree_lock held. */
static int make_link(struct tmpfs_inode *inode, struct tmpfs_inode *folder, const char *name,
                     size_t bytes)
{
    uint64_t key;

    if (inode->links == 0 || is_removed(folder))
        return -ENOENT;
    if (find_entry(folder, name, bytes, &key) != NULL)
        return -EEXIST;
    get((uintptr_t)inode);
    int error = add_entry(folder, name, bytes, key, inode);
    if (error != 0) {
        put((uintptr_t)inode);
        return error;
    }
    inode->links++;
    touch(inode, false);
    return 0;
}

static int link_node(uintptr_t id, uintptr_t folder, const char *name, size_t bytes)
{
    mutex_lock(&tree_lock);
    int error = make_link(tmpfs_inode(id), tmpfs_inode(folder), name, bytes);
    mutex_unlock(&tree_lock);
    return error;
}

/* --- Removing and moving ---------------------------------------------------------------------- */

/* tree_lock held. Whether the entry can go, or be replaced. */
static int check_removal(const struct entry *entry, bool is_folder)
{
    if (is_folder && !S_ISDIR(entry->inode->mode))
        return -ENOTDIR;
    if (!is_folder && S_ISDIR(entry->inode->mode))
        return -EISDIR;
    return is_folder && tree_first(&entry->inode->entries) != NULL ? -ENOTEMPTY : 0;
}

/* tree_lock held. Of an inode that lost a name. */
static void lose_link(struct tmpfs_inode *inode)
{
    if (S_ISDIR(inode->mode))
        inode->links = 0;
    else
        inode->links--;
    touch(inode, false);
}

static int remove_name(uintptr_t id, const char *name, size_t bytes, bool is_folder)
{
    struct tmpfs_inode *folder = tmpfs_inode(id), *inode = NULL;
    uint64_t key;

    mutex_lock(&tree_lock);
    struct entry *entry = find_entry(folder, name, bytes, &key);
    int error = entry != NULL ? check_removal(entry, is_folder) : -ENOENT;
    if (error == 0) {
        inode = remove_entry(folder, entry);
        lose_link(inode);
    }
    mutex_unlock(&tree_lock);
    if (inode != NULL)
        put((uintptr_t)inode);
    return error;
}

static int unlink_file(uintptr_t folder, const char *name, size_t bytes)
{
    return remove_name(folder, name, bytes, false);
}

static int remove_folder(uintptr_t folder, const char *name, size_t bytes)
{
    return remove_name(folder, name, bytes, true);
}

/* tree_lock held. Whether `folder` is `inode` or lies in it. */
static bool lies_in(const struct tmpfs_inode *folder, const struct tmpfs_inode *inode)
{
    while (folder != inode && folder != root_inode)
        folder = folder->parent;
    return folder == inode;
}

/* tree_lock held. *out_replaced: what lost its name, or NULL. */
static int move(struct tmpfs_inode *from, struct entry *old, struct tmpfs_inode *to,
                const char *name, size_t bytes, struct tmpfs_inode **out_replaced)
{
    struct tmpfs_inode *inode = old->inode;
    bool is_folder = S_ISDIR(inode->mode);
    uint64_t key;

    if (is_removed(to))
        return -ENOENT;
    if (is_folder && lies_in(to, inode))
        return -EINVAL;
    struct entry *present = find_entry(to, name, bytes, &key);
    if (present != NULL && present->inode == inode)
        return 0; /* two names of one file: POSIX */
    int error = present != NULL ? check_removal(present, is_folder) : 0;
    if (error != 0)
        return error;
    if (present != NULL)
        key = present->node.key;
    /* What can fail comes first: two entries may have one key meanwhile. */
    error = add_entry(to, name, bytes, key, inode);
    if (error != 0)
        return error;
    if (present != NULL) {
        *out_replaced = remove_entry(to, present);
        lose_link(*out_replaced);
    }
    remove_entry(from, old);
    touch(inode, false);
    return 0;
}

static int rename_entry(uintptr_t from, const char *old_name, size_t old_bytes, uintptr_t to,
                        const char *new_name, size_t new_bytes)
{
    struct tmpfs_inode *replaced = NULL;
    uint64_t key;

    mutex_lock(&tree_lock);
    struct entry *old = find_entry(tmpfs_inode(from), old_name, old_bytes, &key);
    int error = old != NULL
                    ? move(tmpfs_inode(from), old, tmpfs_inode(to), new_name, new_bytes, &replaced)
                    : -ENOENT;
    mutex_unlock(&tree_lock);
    if (replaced != NULL)
        put((uintptr_t)replaced);
    return error;
}

/* --- Attributes ------------------------------------------------------------------------------- */

static int change(uintptr_t id, const struct fs_change *change)
{
    struct tmpfs_inode *inode = tmpfs_inode(id);

    mutex_lock(&inode->lock);
    inode->ctime = tmpfs_now();
    if ((change->what & FS_MODE) != 0)
        inode->mode = (inode->mode & S_IFMT) | change->mode;
    if ((change->what & FS_OWNER) != 0)
        inode->owner = change->owner;
    if ((change->what & FS_GROUP) != 0)
        inode->group = change->group;
    if ((change->what & FS_SIZE) != 0)
        tmpfs_file_resize(inode, change->bytes);
    if ((change->what & FS_ATIME) != 0)
        inode->atime = change->atime;
    if ((change->what & FS_MTIME) != 0)
        inode->mtime = change->mtime;
    mutex_unlock(&inode->lock);
    return 0;
}

const struct fs_ops tmpfs = {
    .root = root,
    .get = get,
    .put = put,
    .type = type_of,
    .stat = stat_node,
    .statvfs = tell_of_all,
    .lookup = lookup,
    .parent = parent,
    .entries = list,
    .readlink = read_link,
    .open = tmpfs_file_open,
    .change = change,
    .create = create,
    .mkdir = make_folder,
    .symlink = make_symlink,
    .link = link_node,
    .unlink = unlink_file,
    .rmdir = remove_folder,
    .rename = rename_entry,
};
