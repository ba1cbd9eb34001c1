/*
 * Open files of tmpfs: reading, writing, and their size.
 *
 * Callers: the table of descriptors through the operations, tmpfs.c. Lock: that of the inode, for
 * the whole of a transfer, so that none is seen in part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libc-glue/tmpfs.h"

static struct tmpfs_inode *inode_of(const struct file *file)
{
    return tmpfs_inode(file->node.id);
}

static int stat_file(struct file *file, struct stat *out)
{
    return file->node.fs->stat(file->node.id, out);
}

/* Memory is as safe as it gets. */
static int sync_file(struct file *file)
{
    (void)file;
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* As Linux's default, relatime, but for the once a day: an access counts if it is the first since a
 * change, so that most reads ask no clock. */
static void note_access(struct tmpfs_inode *inode)
{
    const struct timespec *accessed = &inode->atime, *changed = &inode->mtime;

    if (accessed->tv_sec < changed->tv_sec ||
        (accessed->tv_sec == changed->tv_sec && accessed->tv_nsec <= changed->tv_nsec))
        inode->atime = tmpfs_now();
}

/* The inode's lock is held; all of it lies within the file. */
static void read_bytes(struct tmpfs_inode *inode, char *to, size_t bytes, uint64_t position)
{
    while (bytes > 0) {
        size_t skip = position % TMPFS_PAGE_BYTES, part = smaller(bytes, TMPFS_PAGE_BYTES - skip);
        const char *page = tmpfs_pages_find(&inode->pages, position / TMPFS_PAGE_BYTES);

        if (page != NULL)
            memcpy(to, page + skip, part);
        else
            memset(to, 0, part);
        to += part;
        position += part;
        bytes -= part;
    }
}

static ssize_t read_file(struct file *file, const struct iovec *to, int count, off_t *position)
{
    struct tmpfs_inode *inode = inode_of(file);
    ssize_t done = 0;

    mutex_lock(&inode->lock);
    for (int i = 0; i < count && *position < inode->bytes; i++) {
        size_t bytes = smaller(to[i].iov_len, (size_t)(inode->bytes - *position));

        read_bytes(inode, to[i].iov_base, bytes, (uint64_t)*position);
        *position += (off_t)bytes;
        done += (ssize_t)bytes;
    }
    note_access(inode);
    mutex_unlock(&inode->lock);
    return done;
}

/* The inode's lock is held. How much was written; less: there is no space. */
static size_t write_bytes(struct tmpfs_inode *inode, const char *from, size_t bytes,
                          uint64_t position)
{
    size_t done = 0;

    while (done < bytes) {
        size_t skip = position % TMPFS_PAGE_BYTES;
        size_t part = smaller(bytes - done, TMPFS_PAGE_BYTES - skip);
        void *page;
        bool is_new;

        if (tmpfs_pages_make(&inode->pages, position / TMPFS_PAGE_BYTES, &page, &is_new) != 0)
            break;
        if (is_new) {
            memset(page, 0, skip);
            memset((char *)page + skip + part, 0, TMPFS_PAGE_BYTES - skip - part);
        }
        memcpy((char *)page + skip, from + done, part);
        done += part;
        position += part;
    }
    return done;
}

static ssize_t write_file(struct file *file, const struct iovec *from, int count, off_t *position)
{
    struct tmpfs_inode *inode = inode_of(file);
    bool is_full = false, is_too_far = false;
    ssize_t done = 0;

    mutex_lock(&inode->lock);
    if ((atomic_load_explicit(&file->flags, memory_order_relaxed) & O_APPEND) != 0)
        *position = inode->bytes;
    for (int i = 0; i < count && !is_full && !is_too_far; i++) {
        size_t wanted = smaller(from[i].iov_len, (size_t)(FS_BYTES_MAX - *position));
        size_t bytes = write_bytes(inode, from[i].iov_base, wanted, (uint64_t)*position);

        is_too_far = wanted < from[i].iov_len;
        is_full = bytes < wanted;
        *position += (off_t)bytes;
        done += (ssize_t)bytes;
    }
    if (done > 0) {
        if (*position > inode->bytes)
            inode->bytes = *position;
        inode->mtime = inode->ctime = tmpfs_now();
    }
    mutex_unlock(&inode->lock);
    if (done > 0 || (!is_full && !is_too_far))
        return done;
    return is_full ? -ENOSPC : -EFBIG;
}

void tmpfs_file_resize(struct tmpfs_inode *inode, off_t bytes)
{
    size_t rest = (size_t)bytes % TMPFS_PAGE_BYTES;

    if (bytes < inode->bytes) {
        uint64_t first = ((uint64_t)bytes + TMPFS_PAGE_BYTES - 1) / TMPFS_PAGE_BYTES;
        char *page = rest != 0 ? tmpfs_pages_find(&inode->pages, first - 1) : NULL;

        tmpfs_pages_cut(&inode->pages, first);
        if (page != NULL) /* if the file grows again, it reads as zeroes */
            memset(page + rest, 0, TMPFS_PAGE_BYTES - rest);
    }
    inode->bytes = bytes;
    inode->mtime = inode->ctime = tmpfs_now();
}

static int allocate(struct file *file, off_t start, off_t bytes)
{
    struct tmpfs_inode *inode = inode_of(file);
    uint64_t page = (uint64_t)start / TMPFS_PAGE_BYTES;
    uint64_t end = ((uint64_t)(start + bytes) + TMPFS_PAGE_BYTES - 1) / TMPFS_PAGE_BYTES;
    struct tmpfs_page_counts counts;
    int error = 0;

    tmpfs_pages_counts(&counts);
    if (end - page > counts.limit)
        return -ENOSPC;
    mutex_lock(&inode->lock);
    for (; page < end && error == 0; page++) {
        void *memory;
        bool is_new;

        error = tmpfs_pages_make(&inode->pages, page, &memory, &is_new);
        if (error == 0 && is_new)
            memset(memory, 0, TMPFS_PAGE_BYTES);
    }
    if (error == 0 && start + bytes > inode->bytes)
        inode->bytes = start + bytes;
    mutex_unlock(&inode->lock);
    return error;
}

/* A mapping gets memory for every page of the file, holes too: no fault would ask for it later. */
static int hold_pages(struct file *file, uint64_t first, size_t count, struct file_page *out)
{
    struct tmpfs_inode *inode = inode_of(file);
    size_t held = 0;
    int error = 0;

    mutex_lock(&inode->lock);
    uint64_t end = ((uint64_t)inode->bytes + TMPFS_PAGE_BYTES - 1) / TMPFS_PAGE_BYTES;
    for (size_t i = 0; i < count; i++)
        out[i] = (struct file_page){.memory = NULL};
    for (; held < count && first + held < end; held++) {
        bool is_new;

        error = tmpfs_pages_make(&inode->pages, first + held, &out[held].memory, &is_new);
        if (error != 0)
            break;
        if (is_new)
            memset(out[held].memory, 0, TMPFS_PAGE_BYTES);
        out[held].held = tmpfs_pages_hold(&inode->pages, first + held);
    }
    mutex_unlock(&inode->lock);
    while (error != 0 && held > 0)
        tmpfs_pages_let_go(out[--held].held);
    return error;
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

static const struct file_ops operations = {
    .seekable = true,
    .read = read_file,
    .write = write_file,
    .sync = sync_file,
    .allocate = allocate,
    .stat = stat_file,
    .hold_pages = hold_pages,
    .let_page_go = tmpfs_pages_let_go,
    .release = release,
};

int tmpfs_file_open(struct fs_node node, int flags, struct file **out)
{
    struct file *file = malloc(sizeof(*file));

    if (file == NULL)
        return -ENOMEM;
    fs_file_init(file, &operations, flags, node);
    *out = file;
    return 0;
}
