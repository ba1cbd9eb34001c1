/*
 * Paths: the tree of the initrd, which is read-only, and before it /dev/urandom and the disks,
 * /dev/vda and so on.
 *
 * Ordinary calls from threads. The working folder is the one thing that changes. Permission bits
 * are told, not enforced: whoever runs here is root.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/initrd.h"
#include "libc-glue/disk_file.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/initrd_file.h"
#include "libc-glue/random_file.h"

#define SYMLINKS_MAX 40 /* followed on one path, as on Linux */

static _Atomic uint32_t working_folder = ARCHIVE_ROOT;

/* --- Finding ---------------------------------------------------------------------------------- */

struct walk {
    const struct archive *archive;
    unsigned symlinks;    /* followed */
    bool only_last_lacks; /* after -ENOENT: the last component could be made */
};

static int walk_path(struct walk *walk, uint32_t *node, struct archive_text path, bool follow_last);

/* *node, reached in `folder`, is a symbolic link: goes on to what it stands for. */
static int follow(struct walk *walk, uint32_t folder, uint32_t *node)
{
    const struct archive_node *link = archive_inode(walk->archive, *node);

    if (++walk->symlinks > SYMLINKS_MAX)
        return -ELOOP;
    *node = folder;
    return walk_path(walk, node, (struct archive_text){link->data, link->bytes}, true);
}

/* Moves *node, a folder, along the path. -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG. */
static int walk_path(struct walk *walk, uint32_t *node, struct archive_text path, bool follow_last)
{
    const struct archive *archive = walk->archive;

    if (path.bytes > 0 && *path.text == '/')
        *node = ARCHIVE_ROOT;
    for (;;) {
        const char *end = path.text + path.bytes, *start = path.text;

        while (start < end && *start == '/')
            start++;
        /* Also for what comes before slashes at the end. */
        if (start > path.text && archive_inode(archive, *node)->kind != ARCHIVE_FOLDER)
            return -ENOTDIR;
        if (start == end)
            return 0;
        const char *slash = memchr(start, '/', (size_t)(end - start));
        size_t bytes = (size_t)((slash != NULL ? slash : end) - start);
        path = (struct archive_text){start + bytes, (size_t)(end - start) - bytes};
        if (bytes > NAME_MAX)
            return -ENAMETOOLONG;
        if (bytes == 1 && *start == '.')
            continue;
        if (bytes == 2 && start[0] == '.' && start[1] == '.') {
            *node = archive->nodes[*node].parent;
            continue;
        }
        uint32_t folder = *node;
        *node = archive_child(archive, folder, start, bytes);
        if (*node == ARCHIVE_NONE) {
            walk->only_last_lacks = path.bytes == 0;
            return -ENOENT;
        }
        if (archive_inode(archive, *node)->kind == ARCHIVE_SYMLINK &&
            (path.bytes > 0 || follow_last)) {
            int error = follow(walk, folder, node);
            if (error != 0)
                return error;
        }
    }
}

/* The folder that paths below `fd` begin at. */
static int start_of(int fd, uint32_t *out)
{
    struct file *file;

    *out = atomic_load(&working_folder);
    if (fd == AT_FDCWD)
        return 0;
    int error = fd_get(fd, &file);
    if (error != 0)
        return error;
    *out = initrd_file_node(file);
    file_put(file);
    if (*out == ARCHIVE_NONE || archive_inode(initrd_archive(), *out)->kind != ARCHIVE_FOLDER)
        return -ENOTDIR;
    return 0;
}

/* What a path means, seen from the folder `fd`. -EROFS instead of -ENOENT with `would_make`: only
 * the last component is not there, and nothing can be made. */
static int find(int fd, const char *path, bool follow_last, bool would_make, uint32_t *out)
{
    struct walk walk = {.archive = initrd_archive()};
    size_t bytes = strnlen(path, PATH_MAX);
    int error = 0;

    if (bytes == 0)
        return -ENOENT;
    if (bytes == PATH_MAX)
        return -ENAMETOOLONG;
    if (*path == '/')
        *out = ARCHIVE_ROOT;
    else
        error = start_of(fd, out);
    if (error == 0)
        error = walk_path(&walk, out, (struct archive_text){path, bytes}, follow_last);
    return error == -ENOENT && would_make && walk.only_last_lacks ? -EROFS : error;
}

/* The path of a node from the root. -ERANGE: it has no room. Returns its length without the NUL. */
static int path_of(uint32_t node, char *out, size_t bytes)
{
    const struct archive *archive = initrd_archive();
    size_t length = 0;

    for (uint32_t at = node; at != ARCHIVE_ROOT; at = archive->nodes[at].parent)
        length += archive->nodes[at].name_bytes + 1ul;
    if (length == 0)
        length = 1; /* the root's "/" */
    if (length >= bytes)
        return -ERANGE;
    out[0] = '/';
    out[length] = 0;
    for (char *end = out + length; node != ARCHIVE_ROOT; node = archive->nodes[node].parent) {
        end -= archive->nodes[node].name_bytes;
        memcpy(end, archive->nodes[node].name, archive->nodes[node].name_bytes);
        *--end = '/';
    }
    return (int)length;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int check_open(uint32_t node, int flags)
{
    enum archive_kind kind = archive_inode(initrd_archive(), node)->kind;

    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if (kind == ARCHIVE_SYMLINK) /* O_NOFOLLOW */
        return -ELOOP;
    if (kind != ARCHIVE_FOLDER && (flags & O_DIRECTORY) != 0)
        return -ENOTDIR;
    if (kind == ARCHIVE_FOLDER && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0))
        return -EISDIR;
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0 ? -EROFS : 0;
}

/* An open file of the initrd. */
static int open_initrd(int folder, const char *path, int flags, struct file **out)
{
    bool is_exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    uint32_t node;
    int result = find(folder, path, (flags & O_NOFOLLOW) == 0 && !is_exclusive,
                      (flags & O_CREAT) != 0, &node);

    if (result == 0)
        result = check_open(node, flags);
    if (result == 0)
        result = initrd_file_open(node, flags & ~(O_CREAT | O_EXCL | O_CLOEXEC), out);
    return result;
}

static int open_at(int folder, const char *path, int flags)
{
    struct blkdev *disk = disk_file_find(path);
    struct file *file;
    int result;

    if (disk != NULL)
        result = disk_file_open(disk, flags, &file);
    else if (random_file_is(path))
        result = random_file_open(flags, &file);
    else
        result = open_initrd(folder, path, flags, &file);
    if (result != 0)
        return result;
    result = fd_open(file, flags);
    if (result < 0)
        file_put(file);
    return result;
}

int open(const char *path, int flags, ...)
{
    return (int)glue_result(open_at(AT_FDCWD, path, flags));
}

int openat(int folder, const char *path, int flags, ...)
{
    return (int)glue_result(open_at(folder, path, flags));
}

/* --- Asking ----------------------------------------------------------------------------------- */

static int stat_at(int folder, const char *path, struct stat *out, bool follow_last)
{
    struct blkdev *disk = disk_file_find(path);
    uint32_t node;

    if (disk != NULL) {
        *out = (struct stat){0};
        disk_file_stat(disk, out);
        return 0;
    }
    if (random_file_is(path)) {
        *out = (struct stat){0};
        random_file_stat(out);
        return 0;
    }
    int error = find(folder, path, follow_last, false, &node);

    if (error == 0) {
        *out = (struct stat){0};
        initrd_file_stat(node, out);
    }
    return (int)glue_result(error);
}

int stat(const char *restrict path, struct stat *restrict out)
{
    return stat_at(AT_FDCWD, path, out, true);
}

int lstat(const char *restrict path, struct stat *restrict out)
{
    return stat_at(AT_FDCWD, path, out, false);
}

int fstatat(int folder, const char *restrict path, struct stat *restrict out, int flags)
{
    return stat_at(folder, path, out, (flags & AT_SYMLINK_NOFOLLOW) == 0);
}

int access(const char *path, int mode)
{
    const struct blkdev *disk = disk_file_find(path);
    uint32_t node;

    if (disk != NULL)
        return (int)glue_result((mode & W_OK) != 0 && disk->is_read_only ? -EROFS
                                : (mode & X_OK) != 0                     ? -EACCES
                                                                         : 0);
    if (random_file_is(path))
        return (int)glue_result((mode & X_OK) != 0 ? -EACCES : 0);
    int error = find(AT_FDCWD, path, true, false, &node);

    if (error == 0 && (mode & W_OK) != 0)
        error = -EROFS;
    if (error == 0 && (mode & X_OK) != 0 &&
        (archive_inode(initrd_archive(), node)->mode & 0111) == 0)
        error = -EACCES;
    return (int)glue_result(error);
}

ssize_t readlink(const char *restrict path, char *restrict out, size_t bytes)
{
    uint32_t node;
    int error = find(AT_FDCWD, path, false, false, &node);

    if (error != 0)
        return glue_result(error);
    const struct archive_node *link = archive_inode(initrd_archive(), node);
    if (link->kind != ARCHIVE_SYMLINK || bytes == 0)
        return glue_result(-EINVAL);
    if (bytes > link->bytes)
        bytes = link->bytes;
    memcpy(out, link->data, bytes);
    return (ssize_t)bytes;
}

char *realpath(const char *restrict path, char *restrict out)
{
    char buffer[PATH_MAX];
    uint32_t node;
    int result = path != NULL ? find(AT_FDCWD, path, true, false, &node) : -EINVAL;

    if (result == 0)
        result = path_of(node, buffer, sizeof(buffer));
    if (result < 0) {
        errno = result == -ERANGE ? ENAMETOOLONG : -result;
        return NULL;
    }
    return out != NULL ? strcpy(out, buffer) : strdup(buffer);
}

/* --- The working folder ----------------------------------------------------------------------- */

int chdir(const char *path)
{
    uint32_t node;
    int error = find(AT_FDCWD, path, true, false, &node);

    if (error == 0 && archive_inode(initrd_archive(), node)->kind != ARCHIVE_FOLDER)
        error = -ENOTDIR;
    if (error == 0)
        atomic_store(&working_folder, node);
    return (int)glue_result(error);
}

int fchdir(int fd)
{
    uint32_t node;
    int error = fd == AT_FDCWD ? -EBADF : start_of(fd, &node);

    if (error == 0)
        atomic_store(&working_folder, node);
    return (int)glue_result(error);
}

/* Without a buffer it allocates one, of the needed size where none is given (as on Linux). */
char *getcwd(char *out, size_t bytes)
{
    char buffer[PATH_MAX];
    int length = path_of(atomic_load(&working_folder), buffer, sizeof(buffer));

    if (out != NULL && bytes == 0)
        length = -EINVAL;
    else if (length >= 0 && bytes != 0 && bytes <= (size_t)length)
        length = -ERANGE;
    if (length < 0) {
        errno = -length;
        return NULL;
    }
    if (out == NULL)
        out = malloc(bytes != 0 ? bytes : (size_t)length + 1);
    return out != NULL ? strcpy(out, buffer) : NULL;
}

/* --- Folders' entries ------------------------------------------------------------------------- */

/* Under newlib's readdir. */
int getdents(int fd, void *buffer, int bytes);

int getdents(int fd, void *buffer, int bytes)
{
    struct file *file;
    ssize_t result = fd_get(fd, &file);

    if (result != 0)
        return (int)glue_result(result);
    if (file->ops->entries == NULL) {
        result = -ENOTDIR;
    } else if (bytes < 0) {
        result = -EINVAL;
    } else {
        mutex_lock(&file->position_lock);
        result = file->ops->entries(file, buffer, (size_t)bytes, &file->position);
        mutex_unlock(&file->position_lock);
    }
    file_put(file);
    return (int)glue_result(result);
}

/* --- Changing: refused ------------------------------------------------------------------------ */

/* Why a change to what `path` names fails. */
static int refuse_change(const char *path)
{
    uint32_t node;
    int error = find(AT_FDCWD, path, false, false, &node);

    return (int)glue_result(error != 0 ? error : -EROFS);
}

/* Why making `path` fails. */
static int refuse_making(const char *path)
{
    uint32_t node;
    int error = find(AT_FDCWD, path, false, true, &node);

    return (int)glue_result(error == 0 ? -EEXIST : error);
}

int link(const char *from, const char *to)
{
    (void)to;
    return refuse_change(from);
}

int symlink(const char *target, const char *path)
{
    (void)target;
    return refuse_making(path);
}

int unlink(const char *path)
{
    return refuse_change(path);
}

int rmdir(const char *path)
{
    return refuse_change(path);
}

int rename(const char *from, const char *to)
{
    (void)to;
    return refuse_change(from);
}

int mkdir(const char *path, mode_t mode)
{
    (void)mode;
    return refuse_making(path);
}

int chmod(const char *path, mode_t mode)
{
    (void)mode;
    return refuse_change(path);
}

int truncate(const char *path, off_t bytes)
{
    (void)bytes;
    return refuse_change(path);
}
