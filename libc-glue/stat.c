/*
 * What is asked about files by their paths; of file systems also by descriptors.
 *
 * Ordinary calls from threads; they sleep as the file systems do.
 */
#define _GNU_SOURCE /* AT_EMPTY_PATH */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libc-glue/glue.h"
#include "libc-glue/path.h"

static int stat_node(struct fs_node node, struct stat *out)
{
    *out = (struct stat){.st_nlink = 1};
    return node.fs->stat(node.id, out);
}

static int stat_at(int at, const char *path, enum path_how how, struct stat *out)
{
    struct fs_node node;
    int error = path_node(at, path, how, &node);

    if (error == 0) {
        error = stat_node(node, out);
        fs_put(node);
    }
    return (int)glue_result(error);
}

int stat(const char *restrict path, struct stat *restrict out)
{
    return stat_at(AT_FDCWD, path, PATH_FOLLOW, out);
}

int lstat(const char *restrict path, struct stat *restrict out)
{
    return stat_at(AT_FDCWD, path, PATH_NO_FOLLOW, out);
}

int fstatat(int at, const char *restrict path, struct stat *restrict out, int flags)
{
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return (int)glue_result(-EINVAL);
    if ((flags & AT_EMPTY_PATH) != 0 && *path == 0)
        return at == AT_FDCWD ? stat_at(at, ".", PATH_FOLLOW, out) : fstat(at, out);
    return stat_at(at, path, (flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NO_FOLLOW : PATH_FOLLOW,
                   out);
}

/* Only root's own restrictions: what cannot be written at all, and what nobody may execute. */
static int check_access(struct fs_node node, int mode)
{
    struct stat info;
    int error = stat_node(node, &info);

    if (error != 0)
        return error;
    if ((mode & W_OK) != 0 && S_ISBLK(info.st_mode) && (info.st_mode & 0222) == 0)
        return -EROFS;
    if ((mode & W_OK) != 0 && !S_ISBLK(info.st_mode) && !S_ISCHR(info.st_mode) &&
        node.fs->change == NULL)
        return -EROFS;
    return (mode & X_OK) != 0 && (info.st_mode & 0111) == 0 ? -EACCES : 0;
}

int faccessat(int at, const char *path, int mode, int flags)
{
    struct fs_node node;

    if ((mode & ~(R_OK | W_OK | X_OK)) != 0 || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW)) != 0)
        return (int)glue_result(-EINVAL);
    int error = path_node(at, path,
                          (flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NO_FOLLOW : PATH_FOLLOW, &node);
    if (error == 0) {
        error = check_access(node, mode);
        fs_put(node);
    }
    return (int)glue_result(error);
}

int access(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, 0);
}

int eaccess(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

int euidaccess(const char *path, int mode)
{
    return eaccess(path, mode);
}

ssize_t readlinkat(int at, const char *restrict path, char *restrict out, size_t bytes)
{
    struct fs_node node;
    ssize_t result = bytes == 0 ? -EINVAL : path_node(at, path, PATH_NO_FOLLOW, &node);

    if (result == 0) {
        result =
            node.fs->type(node.id) == S_IFLNK ? node.fs->readlink(node.id, out, bytes) : -EINVAL;
        fs_put(node);
    }
    return glue_result(result);
}

ssize_t readlink(const char *restrict path, char *restrict out, size_t bytes)
{
    return readlinkat(AT_FDCWD, path, out, bytes);
}

/* --- Of file systems -------------------------------------------------------------------------- */

/* Takes over the node, if `error` is 0. */
static int statvfs_node(int error, struct fs_node node, struct statvfs *out)
{
    if (error == 0) {
        *out = (struct statvfs){0};
        error = node.fs->statvfs(out);
        fs_put(node);
    }
    return error;
}

static int statvfs_path(const char *path, struct statvfs *out)
{
    struct fs_node node;
    int error = path_node(AT_FDCWD, path, PATH_FOLLOW, &node);

    return statvfs_node(error, node, out);
}

static int statvfs_fd(int fd, struct statvfs *out)
{
    struct fs_node node;
    int error = path_node_of_fd(fd, &node);

    return statvfs_node(error == -EINVAL ? -ENOSYS : error, node, out);
}

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
    return (int)glue_result(statvfs_path(path, out));
}

int fstatvfs(int fd, struct statvfs *out)
{
    return (int)glue_result(statvfs_fd(fd, out));
}

static int convert(int error, const struct statvfs *from, struct statfs *out)
{
    if (error == 0)
        *out = (struct statfs){
            .f_bsize = (long)from->f_bsize,
            .f_blocks = from->f_blocks,
            .f_bfree = from->f_bfree,
            .f_bavail = from->f_bavail,
            .f_files = from->f_files,
            .f_ffree = from->f_ffree,
            .f_fsid = {{(int)from->f_fsid, 0}},
            .f_namelen = (long)from->f_namemax,
            .f_frsize = (long)from->f_frsize,
            .f_flags = (long)from->f_flag,
        };
    return (int)glue_result(error);
}

int statfs(const char *path, struct statfs *out)
{
    struct statvfs info;
    int error = statvfs_path(path, &info);

    return convert(error, &info, out);
}

int fstatfs(int fd, struct statfs *out)
{
    struct statvfs info;
    int error = statvfs_fd(fd, &info);

    return convert(error, &info, out);
}
