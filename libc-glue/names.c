/*
 * Names in folders: made, moved and removed. What cannot be changed says -EROFS, once it is clear
 * what the call is about.
 *
 * Ordinary calls from threads; they sleep as the file systems do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libc-glue/glue.h"
#include "libc-glue/mode.h"
#include "libc-glue/path.h"

/* A name for something new. -EEXIST. In case of an error there is nothing to put. */
static int walk_to_new(int at, const char *name, struct path *out)
{
    int error = path_walk(at, name, PATH_ENTRY, out);

    if (error == 0 && out->node.fs != NULL) {
        path_put(out);
        error = -EEXIST;
    }
    return error;
}

/* --- Making ----------------------------------------------------------------------------------- */

int mkdirat(int at, const char *name, mode_t mode)
{
    struct path path;
    int error = walk_to_new(at, name, &path);

    if (error == 0) {
        const struct fs_ops *fs = path.folder.fs;

        error = fs->mkdir != NULL ? fs->mkdir(path.folder.id, path.name, path.name_bytes,
                                              mode & 01777 & ~mode_mask())
                                  : -EROFS;
        path_put(&path);
    }
    return (int)glue_result(error);
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

/* A link has no slash behind it. */
static int make_symlink(const struct path *path, const char *target)
{
    const struct fs_ops *fs = path->folder.fs;

    if (path->has_slash)
        return -ENOENT;
    return fs->symlink != NULL ? fs->symlink(path->folder.id, path->name, path->name_bytes, target)
                               : -EROFS;
}

int symlinkat(const char *target, int at, const char *name)
{
    size_t bytes = strnlen(target, PATH_MAX);
    struct path path;
    int error = bytes == 0          ? -ENOENT
                : bytes == PATH_MAX ? -ENAMETOOLONG
                                    : walk_to_new(at, name, &path);

    if (error == 0) {
        error = make_symlink(&path, target);
        path_put(&path);
    }
    return (int)glue_result(error);
}

int symlink(const char *target, const char *name)
{
    return symlinkat(target, AT_FDCWD, name);
}

static int make_link(struct fs_node node, const struct path *path)
{
    const struct fs_ops *fs = path->folder.fs;

    if (path->has_slash)
        return -ENOENT;
    if (node.fs != fs)
        return -EXDEV;
    if (fs_is_folder(node))
        return -EPERM;
    return fs->link != NULL ? fs->link(node.id, path->folder.id, path->name, path->name_bytes)
                            : -EROFS;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    enum path_how how = (flags & AT_SYMLINK_FOLLOW) != 0 ? PATH_FOLLOW : PATH_NO_FOLLOW;
    struct fs_node node;
    struct path path;

    if ((flags & ~AT_SYMLINK_FOLLOW) != 0)
        return (int)glue_result(-EINVAL);
    int error = path_node(from_at, from, how, &node);
    if (error == 0) {
        error = walk_to_new(to_at, to, &path);
        if (error == 0) {
            error = make_link(node, &path);
            path_put(&path);
        }
        fs_put(node);
    }
    return (int)glue_result(error);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Of devices there are those of /dev; FIFOs with names there are none. */
int mknodat(int at, const char *name, mode_t mode, dev_t device)
{
    mode_t type = mode & S_IFMT;

    (void)device;
    if (type != 0 && type != S_IFREG)
        return (int)glue_result(-EPERM);
    int fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY, mode & 07777);
    return fd >= 0 ? close(fd) : fd;
}

int mknod(const char *name, mode_t mode, dev_t device)
{
    return mknodat(AT_FDCWD, name, mode, device);
}

int mkfifoat(int at, const char *name, mode_t mode)
{
    return mknodat(at, name, S_IFIFO | (mode & 07777), 0);
}

int mkfifo(const char *name, mode_t mode)
{
    return mkfifoat(AT_FDCWD, name, mode);
}

/* --- Removing --------------------------------------------------------------------------------- */

static bool is_mount_point(const struct path *path)
{
    return path->node.fs != NULL && path->node.fs != path->folder.fs;
}

static int remove_file(const struct path *path)
{
    const struct fs_ops *fs = path->folder.fs;

    if (path->last != PATH_NAME)
        return -EISDIR;
    if (path->node.fs == NULL)
        return -ENOENT;
    if (fs_is_folder(path->node))
        return -EISDIR;
    if (path->has_slash)
        return -ENOTDIR;
    return fs->unlink != NULL ? fs->unlink(path->folder.id, path->name, path->name_bytes) : -EROFS;
}

static int remove_folder(const struct path *path)
{
    const struct fs_ops *fs = path->folder.fs;

    if (path->last != PATH_NAME)
        return path->last == PATH_DOT ? -EINVAL : path->last == PATH_DOTDOT ? -ENOTEMPTY : -EBUSY;
    if (path->node.fs == NULL)
        return -ENOENT;
    if (is_mount_point(path))
        return -EBUSY;
    if (!fs_is_folder(path->node))
        return -ENOTDIR;
    return fs->rmdir != NULL ? fs->rmdir(path->folder.id, path->name, path->name_bytes) : -EROFS;
}

int unlinkat(int at, const char *name, int flags)
{
    struct path path;
    int error = (flags & ~AT_REMOVEDIR) != 0 ? -EINVAL : path_walk(at, name, PATH_ENTRY, &path);

    if (error == 0) {
        error = flags != 0 ? remove_folder(&path) : remove_file(&path);
        path_put(&path);
    }
    return (int)glue_result(error);
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int remove(const char *name)
{
    int result = unlink(name);

    return result != 0 && errno == EISDIR ? rmdir(name) : result;
}

/* newlib's own names for it. */
int _remove_r(struct _reent *reent, const char *name)
{
    (void)reent;
    return remove(name);
}

/* --- Moving ----------------------------------------------------------------------------------- */

static int move(const struct path *from, const struct path *to)
{
    const struct fs_ops *fs = from->folder.fs;

    if (from->last != PATH_NAME || to->last != PATH_NAME)
        return -EBUSY;
    if (fs != to->folder.fs)
        return -EXDEV;
    if (from->node.fs == NULL)
        return -ENOENT;
    if (is_mount_point(from) || is_mount_point(to))
        return -EBUSY;
    if ((from->has_slash || to->has_slash) && !fs_is_folder(from->node))
        return -ENOTDIR;
    return fs->rename != NULL ? fs->rename(from->folder.id, from->name, from->name_bytes,
                                           to->folder.id, to->name, to->name_bytes)
                              : -EROFS;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    struct path from_path, to_path;
    int error = path_walk(from_at, from, PATH_ENTRY, &from_path);

    if (error == 0) {
        error = path_walk(to_at, to, PATH_ENTRY, &to_path);
        if (error == 0) {
            error = move(&from_path, &to_path);
            path_put(&to_path);
        }
        path_put(&from_path);
    }
    return (int)glue_result(error);
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
