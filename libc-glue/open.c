/*
 * Opening files by their paths, and listing folders.
 *
 * Ordinary calls from threads; they sleep as the file systems do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/mode.h"
#include "libc-glue/path.h"

/* What a file keeps of open's flags (fcntl's F_GETFL). */
#define KEPT_FLAGS (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT)

/* A name that is not there, and yet there when a file is made: so often others were in between, or
 * a host lies. */
#define TRIES 100

/* Something is there: whether flags allow to open it. */
static int check(struct fs_node node, int flags)
{
    mode_t type = node.fs->type(node.id);

    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        return -EEXIST;
    if (type == S_IFLNK) /* O_NOFOLLOW */
        return -ELOOP;
    if (type != S_IFDIR && (flags & O_DIRECTORY) != 0)
        return -ENOTDIR;
    if (type == S_IFDIR && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0))
        return -EISDIR;
    return 0;
}

static int open_node(struct fs_node node, int flags, struct file **out)
{
    static const struct fs_change to_nothing = {.what = FS_SIZE};
    int error = 0;

    if (fs_is_folder(node))
        return folder_file_open(node, flags & KEPT_FLAGS, out);
    if ((flags & O_TRUNC) != 0 && node.fs->type(node.id) == S_IFREG)
        error = node.fs->change != NULL ? node.fs->change(node.id, &to_nothing) : -EROFS;
    return error != 0 ? error : node.fs->open(node, flags & KEPT_FLAGS, out);
}

/* Nothing is there: makes a file and opens it. -EEXIST: something is there by now. */
static int create(const struct path *path, int flags, mode_t mode, struct file **out)
{
    const struct fs_ops *fs = path->folder.fs;
    struct fs_node node;

    if (path->has_slash)
        return -EISDIR;
    if (fs->create == NULL)
        return -EROFS;
    int error = fs->create(path->folder.id, path->name, path->name_bytes, mode, &node);
    if (error != 0)
        return error;
    error = fs->open(node, flags & KEPT_FLAGS, out);
    fs_put(node);
    return error;
}

static int open_file(int at, const char *name, int flags, mode_t mode, struct file **out)
{
    bool is_exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    enum path_how how = (flags & O_NOFOLLOW) != 0 || is_exclusive ? PATH_NO_FOLLOW : PATH_FOLLOW;
    struct path path;
    int error;

    for (unsigned i = 0; i < TRIES; i++) {
        error = path_walk(at, name, how, &path);
        if (error != 0)
            return error;
        if (path.node.fs != NULL) {
            error = check(path.node, flags);
            if (error == 0)
                error = open_node(path.node, flags, out);
            path_put(&path);
            return error;
        }
        error = (flags & O_CREAT) != 0 ? create(&path, flags, mode, out) : -ENOENT;
        path_put(&path);
        if (error != -EEXIST || is_exclusive)
            return error;
    }
    return -EEXIST;
}

static int open_at(int at, const char *name, int flags, mode_t mode)
{
    struct file *file;

    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    int fd = fd_reserve(0, flags);
    if (fd < 0)
        return fd;
    int error = open_file(at, name, flags, mode & 07777 & ~mode_mask(), &file);
    if (error != 0) {
        fd_cancel(fd);
        return error;
    }
    fd_install(fd, file);
    return fd;
}

/* The argument that is there with O_CREAT alone. */
#define MODE_ARGUMENT(flags)                                                                       \
    ({                                                                                             \
        mode_t mode_ = 0;                                                                          \
        if (((flags)&O_CREAT) != 0) {                                                              \
            va_list args_;                                                                         \
            va_start(args_, flags);                                                                \
            mode_ = va_arg(args_, mode_t);                                                         \
            va_end(args_);                                                                         \
        }                                                                                          \
        mode_;                                                                                     \
    })

int open(const char *path, int flags, ...)
{
    return (int)glue_result(open_at(AT_FDCWD, path, flags, MODE_ARGUMENT(flags)));
}

int openat(int folder, const char *path, int flags, ...)
{
    return (int)glue_result(open_at(folder, path, flags, MODE_ARGUMENT(flags)));
}

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
