/*
 * A folder of the host's, at /host, by 9P (p9_client.h). Nothing is kept here of what it holds:
 * each operation asks the host, where others may change it at any time.
 *
 * A node is a fid of the host's, with what is known since the walk to it: its type, and for folders
 * where it was found (which getcwd tells, though the host may have renamed it since).
 * Callers: see fs.h, and the table of descriptors through the files' operations. Locks: the
 * session's (p9_client.c); a node never changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "libc-glue/fs.h"
#include "libc-glue/p9_client.h"

#define DEVICE 4 /* st_dev */
#define GETATTR_BASIC 0x7ff
#define ENTRY_BYTES (P9_QID_BYTES + 8 + 1 + 2) /* and its name */
#define ENTRIES_BYTES 3072 /* asked for at once: they fit in a message beside its header */

/* Of Tlopen and Tlcreate: Linux's. */
#define L_RDWR 2
#define L_EXCL 0200
/* Of Tunlinkat. */
#define L_REMOVEDIR 0x200

struct node {
    atomic_uint references;
    uint32_t fid;
    uint8_t type; /* of the qid */
    struct node *parent;
    uint8_t name_bytes;
    char name[];
};

static struct mutex lock = MUTEX_INIT; /* of the next one's making */
static struct node *root_node;

static struct node *node_at(uintptr_t id)
{
    return (struct node *)id;
}

static struct fs_node fs_node_of(struct node *node)
{
    return (struct fs_node){&p9_fs, (uintptr_t)node};
}

static void get(uintptr_t id)
{
    atomic_fetch_add_explicit(&node_at(id)->references, 1, memory_order_relaxed);
}

static void clunk(uint32_t fid)
{
    p9_begin(P9_TCLUNK);
    p9_put(fid, 4);
    p9_finish(); /* the fid is gone in any case: clunk(5) */
}

static void put(uintptr_t id)
{
    struct node *node = node_at(id);

    /* Also of the folders above, as far as nobody else needs them. */
    while (node != NULL &&
           atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) == 1) {
        struct node *parent = node->parent;

        clunk(node->fid);
        free(node);
        node = parent;
    }
}

/* A node with one reference; takes over none. */
static struct node *make_node(uint32_t fid, uint8_t type, struct node *parent, const char *name,
                              size_t bytes)
{
    struct node *node = malloc(sizeof(*node) + bytes);

    if (node == NULL)
        return NULL;
    *node = (struct node){
        .references = 1, .fid = fid, .type = type, .parent = parent, .name_bytes = (uint8_t)bytes};
    memcpy(node->name, name, bytes);
    if (parent != NULL)
        get((uintptr_t)parent);
    return node;
}

static int root(struct fs_node *out)
{
    uint32_t fid;
    int error = p9_connect(&fid);

    if (error != 0)
        return error;
    mutex_lock(&lock);
    if (root_node == NULL)
        root_node = make_node(fid, P9_QID_FOLDER, NULL, "", 0);
    mutex_unlock(&lock);
    if (root_node == NULL)
        return -ENOMEM;
    *out = fs_get(fs_node_of(root_node));
    return 0;
}

/* A new fid for what `name` is in a folder, or, without a name, for the same. */
static int walk(const struct node *from, const char *name, size_t bytes, uint32_t *out_fid,
                uint8_t *out_type)
{
    uint32_t fid = p9_new_fid();

    p9_begin(P9_TWALK);
    p9_put(from->fid, 4);
    p9_put(fid, 4);
    p9_put(name != NULL ? 1 : 0, 2);
    if (name != NULL)
        p9_put_text(name, bytes);
    int error = p9_send(NULL);
    if (error == 0) {
        if (p9_take(2) != (name != NULL ? 1 : 0))
            error = -EIO;
        else if (name != NULL)
            *out_type = (uint8_t)p9_take(1);
    }
    int end = p9_end();
    *out_fid = fid;
    return error != 0 ? error : end;
}

static int lookup(uintptr_t folder, const char *name, size_t bytes, struct fs_node *out)
{
    uint32_t fid;
    uint8_t type = 0;
    int error = walk(node_at(folder), name, bytes, &fid, &type);

    if (error != 0)
        return error;
    struct node *node = make_node(fid, type, node_at(folder), name, bytes);
    if (node == NULL) {
        clunk(fid);
        return -ENOMEM;
    }
    *out = fs_node_of(node);
    return 0;
}

static mode_t type_of(uintptr_t id)
{
    uint8_t type = node_at(id)->type;

    return (type & P9_QID_FOLDER) != 0 ? S_IFDIR : (type & P9_QID_LINK) != 0 ? S_IFLNK : S_IFREG;
}

/* False: it is none. */
static bool take_time(struct timespec *out)
{
    uint64_t seconds = p9_take(8), ns = p9_take(8);

    *out = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)ns};
    return ns < NS_PER_SECOND;
}

static int stat_fid(uint32_t fid, struct stat *out)
{
    p9_begin(P9_TGETATTR);
    p9_put(fid, 4);
    p9_put(GETATTR_BASIC, 8);
    int error = p9_send(NULL);
    if (error == 0) {
        p9_take(8); /* what is valid: all that was asked for */
        p9_take(1 + 4);
        out->st_dev = DEVICE;
        out->st_ino = p9_take(8);
        out->st_mode = (mode_t)p9_take(4);
        out->st_uid = (uid_t)p9_take(4);
        out->st_gid = (gid_t)p9_take(4);
        out->st_nlink = (nlink_t)p9_take(8);
        out->st_rdev = p9_take(8);
        out->st_size = (off_t)p9_take(8);
        out->st_blksize = (blksize_t)p9_take(8);
        out->st_blocks = (blkcnt_t)p9_take(8);
        if (!take_time(&out->st_atim) || !take_time(&out->st_mtim) || !take_time(&out->st_ctim) ||
            out->st_size < 0 || out->st_blksize <= 0 || out->st_blksize > 1 << 20)
            error = -EIO;
    }
    int end = p9_end();
    return error != 0 ? error : end;
}

static int stat_node(uintptr_t id, struct stat *out)
{
    return stat_fid(node_at(id)->fid, out);
}

static int tell_of_all(struct statvfs *out)
{
    struct fs_node top;
    int error = root(&top);

    if (error != 0)
        return error;
    p9_begin(P9_TSTATFS);
    p9_put(node_at(top.id)->fid, 4);
    error = p9_send(NULL);
    if (error == 0) {
        p9_take(4);
        out->f_bsize = out->f_frsize = p9_take(4);
        out->f_blocks = p9_take(8);
        out->f_bfree = p9_take(8);
        out->f_bavail = p9_take(8);
        out->f_files = p9_take(8);
        out->f_ffree = out->f_favail = p9_take(8);
        out->f_fsid = DEVICE;
        out->f_namemax = NAME_MAX;
    }
    int end = p9_end();
    fs_put(top);
    return error != 0 ? error : end;
}

static int parent(uintptr_t folder, struct fs_node *out, char name[NAME_MAX + 1])
{
    const struct node *node = node_at(folder);

    memcpy(name, node->name, node->name_bytes);
    name[node->name_bytes] = 0;
    *out = fs_get(fs_node_of(node->parent));
    return 0;
}

static ssize_t read_link(uintptr_t id, char *out, size_t bytes)
{
    p9_begin(P9_TREADLINK);
    p9_put(node_at(id)->fid, 4);
    int error = p9_send(NULL);
    if (error == 0) {
        size_t length = p9_take(2);
        const char *target = p9_take_bytes(length);

        if (length < bytes)
            bytes = length;
        if (target != NULL && memchr(target, 0, length) != NULL)
            error = -EIO;
        else if (target != NULL)
            memcpy(out, target, bytes);
    }
    int end = p9_end();
    return error != 0 ? error : end != 0 ? end : (ssize_t)bytes;
}

/* --- Folders ---------------------------------------------------------------------------------- */

static int open_fid(uint32_t fid, int flags)
{
    p9_begin(P9_TLOPEN);
    p9_put(fid, 4);
    p9_put((unsigned)flags, 4);
    return p9_finish();
}

/* Positions are the host's, behind those that are not: they must leave room for that. */
static off_t position_of(uint64_t offset)
{
    return offset > (uint64_t)(INT64_MAX - FS_FIRST_POSITION) ? INT64_MAX
                                                              : (off_t)offset + FS_FIRST_POSITION;
}

struct listing {
    struct fs_entries *entries;
    off_t position;
    unsigned nr_own; /* how often the host named "." and "..", which are not added */
};

static bool is_name(const struct fs_entry *entry)
{
    return entry->name_bytes > 0 && entry->name_bytes <= NAME_MAX &&
           memchr(entry->name, '/', entry->name_bytes) == NULL &&
           memchr(entry->name, 0, entry->name_bytes) == NULL;
}

/* Of the reply that is being read, of which `*left` bytes are entries: one. 0: it had no room;
 * -EIO: it is none, or the host goes round in circles. */
static int take_entry(struct listing *listing, size_t *left)
{
    struct fs_entry entry = {0};
    uint8_t type = (uint8_t)p9_take(1);

    p9_take(4);
    entry.number = p9_take(8);
    entry.next = position_of(p9_take(8));
    p9_take(1); /* Linux's type of it: the qid's will do */
    entry.name_bytes = p9_take(2);
    entry.name = p9_take_bytes(entry.name_bytes);
    entry.type = (type & P9_QID_FOLDER) != 0 ? S_IFDIR
                 : (type & P9_QID_LINK) != 0 ? S_IFLNK
                                             : S_IFREG;
    if (entry.name == NULL || ENTRY_BYTES + entry.name_bytes > *left || !is_name(&entry) ||
        entry.next == listing->position)
        return -EIO;
    bool is_own = (entry.name_bytes == 1 && entry.name[0] == '.') ||
                  (entry.name_bytes == 2 && memcmp(entry.name, "..", 2) == 0);
    if (is_own && ++listing->nr_own > 2)
        return -EIO;
    if (!is_own && !fs_add_entry(listing->entries, &entry))
        return 0;
    *left -= ENTRY_BYTES + entry.name_bytes;
    listing->position = entry.next;
    return 1;
}

/* As many entries as one message brings. 1: there may be more. */
static int list_some(uint32_t fid, struct listing *listing)
{
    p9_begin(P9_TREADDIR);
    p9_put(fid, 4);
    p9_put((uint64_t)(listing->position - FS_FIRST_POSITION), 8);
    p9_put(ENTRIES_BYTES, 4);
    int result = p9_send(NULL);
    if (result == 0) {
        size_t left = p9_take(4);

        result = left > 0;
        while (left > 0 && result == 1)
            result = take_entry(listing, &left);
    }
    int end = p9_end();
    return end != 0 ? end : result;
}

static int list(uintptr_t folder, off_t *position, struct fs_entries *entries)
{
    struct listing listing = {.entries = entries, .position = *position};
    uint32_t fid;
    uint8_t type;
    int result = walk(node_at(folder), NULL, 0, &fid, &type);

    if (result != 0)
        return result;
    result = open_fid(fid, O_RDONLY);
    while (result == 0 && (result = list_some(fid, &listing)) == 1)
        result = 0;
    *position = listing.position;
    clunk(fid);
    return result;
}

/* --- Changing --------------------------------------------------------------------------------- */

/* A request about a name in a folder is begun. */
static void begin_entry(uint8_t type, uintptr_t folder, const char *name, size_t bytes)
{
    p9_begin(type);
    p9_put(node_at(folder)->fid, 4);
    p9_put_text(name, bytes);
}

static int change(uintptr_t id, const struct fs_change *change)
{
    static const struct {
        unsigned ours, theirs;
    } bits[] = {{FS_MODE, 1}, {FS_OWNER, 2},           {FS_GROUP, 4},
                {FS_SIZE, 8}, {FS_ATIME, 0x10 | 0x80}, {FS_MTIME, 0x20 | 0x100}};
    unsigned valid = 0;

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if ((change->what & bits[i].ours) != 0)
            valid |= bits[i].theirs;
    p9_begin(P9_TSETATTR);
    p9_put(node_at(id)->fid, 4);
    p9_put(valid, 4);
    p9_put(change->mode, 4);
    p9_put(change->owner, 4);
    p9_put(change->group, 4);
    p9_put((uint64_t)change->bytes, 8);
    p9_put((uint64_t)change->atime.tv_sec, 8);
    p9_put((uint64_t)change->atime.tv_nsec, 8);
    p9_put((uint64_t)change->mtime.tv_sec, 8);
    p9_put((uint64_t)change->mtime.tv_nsec, 8);
    return p9_finish();
}

/* What is made is opened by that; it is looked up to be known without. */
static int create(uintptr_t folder, const char *name, size_t bytes, mode_t mode,
                  struct fs_node *out)
{
    uint32_t fid;
    uint8_t type;
    int error = walk(node_at(folder), NULL, 0, &fid, &type);

    if (error != 0)
        return error;
    p9_begin(P9_TLCREATE);
    p9_put(fid, 4);
    p9_put_text(name, bytes);
    p9_put(L_RDWR | L_EXCL, 4);
    p9_put(mode, 4);
    p9_put(0, 4);
    error = p9_finish();
    clunk(fid);
    return error != 0 ? error : lookup(folder, name, bytes, out);
}

static int make_folder(uintptr_t folder, const char *name, size_t bytes, mode_t mode)
{
    begin_entry(P9_TMKDIR, folder, name, bytes);
    p9_put(mode, 4);
    p9_put(0, 4);
    return p9_finish();
}

static int make_symlink(uintptr_t folder, const char *name, size_t bytes, const char *target)
{
    begin_entry(P9_TSYMLINK, folder, name, bytes);
    p9_put_text(target, strlen(target));
    p9_put(0, 4);
    return p9_finish();
}

static int link_node(uintptr_t id, uintptr_t folder, const char *name, size_t bytes)
{
    p9_begin(P9_TLINK);
    p9_put(node_at(folder)->fid, 4);
    p9_put(node_at(id)->fid, 4);
    p9_put_text(name, bytes);
    return p9_finish();
}

static int remove_entry(uintptr_t folder, const char *name, size_t bytes, unsigned flags)
{
    begin_entry(P9_TUNLINKAT, folder, name, bytes);
    p9_put(flags, 4);
    return p9_finish();
}

static int unlink_file(uintptr_t folder, const char *name, size_t bytes)
{
    return remove_entry(folder, name, bytes, 0);
}

static int remove_folder(uintptr_t folder, const char *name, size_t bytes)
{
    return remove_entry(folder, name, bytes, L_REMOVEDIR);
}

static int rename_entry(uintptr_t from, const char *old_name, size_t old_bytes, uintptr_t to,
                        const char *new_name, size_t new_bytes)
{
    begin_entry(P9_TRENAMEAT, from, old_name, old_bytes);
    p9_put(node_at(to)->fid, 4);
    p9_put_text(new_name, new_bytes);
    return p9_finish();
}

/* --- Open files ------------------------------------------------------------------------------- */

struct p9_file {
    struct file file;
    uint32_t fid;
};

static uint32_t fid_of(const struct file *file)
{
    return ((const struct p9_file *)file)->fid;
}

static int stat_file(struct file *file, struct stat *out)
{
    return stat_fid(fid_of(file), out);
}

static int sync_file(struct file *file)
{
    p9_begin(P9_TFSYNC);
    p9_put(fid_of(file), 4);
    p9_put(0, 4);
    return p9_finish();
}

/* One message's worth. How much was moved. */
static ssize_t move_some(uint8_t type, uint32_t fid, struct p9_data *data, off_t position)
{
    p9_begin(type);
    p9_put(fid, 4);
    p9_put((uint64_t)position, 8);
    p9_put(data->bytes, 4);
    ssize_t result = p9_send(data);
    if (result == 0) {
        result = (ssize_t)p9_take(4);
        if ((size_t)result > (type == P9_TREAD ? data->got : data->bytes) ||
            (type == P9_TWRITE && result == 0)) /* whoever writes on would do so for ever */
            result = -EIO;
    }
    int end = p9_end();
    return end != 0 ? end : result;
}

static ssize_t move(struct file *file, uint8_t type, const struct iovec *vectors, int count,
                    off_t *position)
{
    ssize_t done = 0, part = 0;

    for (int i = 0; i < count; i++) {
        char *buffer = vectors[i].iov_base;

        for (size_t left = vectors[i].iov_len; left > 0; left -= (size_t)part, buffer += part) {
            struct p9_data data = {.bytes = left < p9_max_data() ? left : p9_max_data()};

            /* The host may have said that the file is as long as that. */
            if (data.bytes > (uint64_t)(FS_BYTES_MAX - *position))
                data.bytes = (size_t)(FS_BYTES_MAX - *position);
            if (data.bytes == 0)
                return done > 0 ? done : type == P9_TWRITE ? -EFBIG : 0;
            if (type == P9_TWRITE)
                data.out = buffer;
            else
                data.in = buffer;
            part = move_some(type, fid_of(file), &data, *position);
            if (part <= 0)
                return done > 0 ? done : part;
            *position += part;
            done += part;
        }
    }
    return done;
}

static ssize_t read_file(struct file *file, const struct iovec *to, int count, off_t *position)
{
    return move(file, P9_TREAD, to, count, position);
}

static ssize_t write_file(struct file *file, const struct iovec *from, int count, off_t *position)
{
    int flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    struct stat info = {0};

    if ((flags & O_APPEND) != 0) {
        int error = stat_file(file, &info);

        if (error != 0)
            return error;
        *position = info.st_size;
    }
    ssize_t done = move(file, P9_TWRITE, from, count, position);
    int error = done > 0 && (flags & O_SYNC) != 0 ? sync_file(file) : 0;
    return error != 0 ? error : done;
}

static int release(struct file *file)
{
    clunk(fid_of(file));
    free(file);
    return 0;
}

static const struct file_ops operations = {
    .seekable = true,
    .read = read_file,
    .write = write_file,
    .sync = sync_file,
    .stat = stat_file,
    .release = release,
};

static int open_file(struct fs_node node, int flags, struct file **out)
{
    struct p9_file *file = malloc(sizeof(*file));
    uint8_t type;

    if (file == NULL)
        return -ENOMEM;
    int error = walk(node_at(node.id), NULL, 0, &file->fid, &type);
    if (error == 0) {
        error = open_fid(file->fid, flags & O_ACCMODE); /* whose values are everyone's */
        if (error != 0)
            clunk(file->fid);
    }
    if (error != 0) {
        free(file);
        return error;
    }
    fs_file_init(&file->file, &operations, flags, node);
    *out = &file->file;
    return 0;
}

const struct fs_ops p9_fs = {
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
    .open = open_file,
    .change = change,
    .create = create,
    .mkdir = make_folder,
    .symlink = make_symlink,
    .link = link_node,
    .unlink = unlink_file,
    .rmdir = remove_folder,
    .rename = rename_entry,
};
