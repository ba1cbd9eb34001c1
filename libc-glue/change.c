/*
 * Attributes of files, changed by path or by descriptor.
 *
 * Ordinary calls from threads; they sleep as the file systems do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "kernel/clock.h"
#include "libc-glue/fd.h"
#include "libc-glue/glue.h"
#include "libc-glue/mode.h"
#include "libc-glue/path.h"

static int change_node(struct fs_node node, const struct fs_change *change)
{
    return node.fs->change != NULL ? node.fs->change(node.id, change) : -EROFS;
}

static int change_at(int at, const char *path, int flags, const struct fs_change *change)
{
    struct fs_node node;

    if ((flags & ~AT_SYMLINK_NOFOLLOW) != 0)
        return (int)glue_result(-EINVAL);
    int error = path_node(at, path,
                          (flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NO_FOLLOW : PATH_FOLLOW, &node);
    if (error == 0) {
        error = change_node(node, change);
        fs_put(node);
    }
    return (int)glue_result(error);
}

static int change_fd(int fd, const struct fs_change *change)
{
    struct fs_node node;
    int error = path_node_of_fd(fd, &node);

    if (error == 0) {
        error = change_node(node, change);
        fs_put(node);
    }
    return (int)glue_result(error);
}

/* --- Mode and owner --------------------------------------------------------------------------- */

static _Atomic mode_t mask = 022;

mode_t mode_mask(void)
{
    return atomic_load(&mask);
}

mode_t umask(mode_t new_mask)
{
    return atomic_exchange(&mask, new_mask & 0777);
}

static struct fs_change mode_change(mode_t mode)
{
    return (struct fs_change){.what = FS_MODE, .mode = mode & 07777};
}

int fchmodat(int at, const char *path, mode_t mode, int flags)
{
    struct fs_change change = mode_change(mode);

    /* A link's own mode means nothing: Linux's C libraries refuse, too. */
    if ((flags & AT_SYMLINK_NOFOLLOW) != 0)
        return (int)glue_result(-EOPNOTSUPP);
    return change_at(at, path, flags, &change);
}

int chmod(const char *path, mode_t mode)
{
    return fchmodat(AT_FDCWD, path, mode, 0);
}

int fchmod(int fd, mode_t mode)
{
    struct fs_change change = mode_change(mode);

    return change_fd(fd, &change);
}

/* -1: it stays. */
static struct fs_change owner_change(uid_t owner, gid_t group)
{
    return (struct fs_change){
        .what = (owner != (uid_t)-1 ? FS_OWNER : 0) | (group != (gid_t)-1 ? FS_GROUP : 0),
        .owner = owner,
        .group = group,
    };
}

int fchownat(int at, const char *path, uid_t owner, gid_t group, int flags)
{
    struct fs_change change = owner_change(owner, group);

    return change_at(at, path, flags, &change);
}

int chown(const char *path, uid_t owner, gid_t group)
{
    return fchownat(AT_FDCWD, path, owner, group, 0);
}

int lchown(const char *path, uid_t owner, gid_t group)
{
    return fchownat(AT_FDCWD, path, owner, group, AT_SYMLINK_NOFOLLOW);
}

int fchown(int fd, uid_t owner, gid_t group)
{
    struct fs_change change = owner_change(owner, group);

    return change_fd(fd, &change);
}

/* --- Size ------------------------------------------------------------------------------------- */

/* -EISDIR, -EINVAL: of a folder, or what else has no size to change. */
static int truncate_node(struct fs_node node, off_t bytes)
{
    struct fs_change change = {.what = FS_SIZE, .bytes = bytes};

    if (bytes < 0 || node.fs->type(node.id) != S_IFREG)
        return bytes >= 0 && fs_is_folder(node) ? -EISDIR : -EINVAL;
    return change_node(node, &change);
}

int truncate(const char *path, off_t bytes)
{
    struct fs_node node;
    int error = path_node(AT_FDCWD, path, PATH_FOLLOW, &node);

    if (error == 0) {
        error = truncate_node(node, bytes);
        fs_put(node);
    }
    return (int)glue_result(error);
}

static int truncate_file(const struct file *file, off_t bytes)
{
    if (!file_is_writable(file) || file->node.fs == NULL)
        return -EINVAL;
    return truncate_node(file->node, bytes);
}

int ftruncate(int fd, off_t bytes)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error == 0) {
        error = truncate_file(file, bytes);
        file_put(file);
    }
    return (int)glue_result(error);
}

static int allocate(struct file *file, off_t start, off_t bytes)
{
    if (!file_is_writable(file))
        return -EBADF;
    if (!file->ops->seekable)
        return -ESPIPE;
    if (start < 0 || bytes <= 0)
        return -EINVAL;
    if (start > FS_BYTES_MAX - bytes)
        return -EFBIG;
    if (file->ops->allocate != NULL)
        return file->ops->allocate(file, start, bytes);
    return file->node.fs != NULL && file->node.fs->type(file->node.id) == S_IFREG ? -EOPNOTSUPP
                                                                                  : -ENODEV;
}

/* Returns an error number instead of setting errno (POSIX). */
int posix_fallocate(int fd, off_t start, off_t bytes)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error == 0) {
        error = allocate(file, start, bytes);
        file_put(file);
    }
    return -error;
}

/* Advice is taken by doing nothing. */
int posix_fadvise(int fd, off_t start, off_t bytes, int advice)
{
    struct file *file;
    int error = fd_get(fd, &file);

    (void)start;
    if (error == 0) {
        if (!file->ops->seekable)
            error = -ESPIPE;
        else if (bytes < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE)
            error = -EINVAL;
        file_put(file);
    }
    return -error;
}

/* --- Times ------------------------------------------------------------------------------------ */

static struct timespec now(void)
{
    uint64_t ns = clock_wall_ns();

    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND),
                             .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

/* NULL: both are now. */
static int times_change(const struct timespec times[2], struct fs_change *out)
{
    *out = (struct fs_change){.what = FS_ATIME | FS_MTIME, .atime = now()};
    out->mtime = out->atime;
    if (times == NULL)
        return 0;
    for (int i = 0; i < 2; i++) {
        struct timespec *time = i == 0 ? &out->atime : &out->mtime;

        if (times[i].tv_nsec == UTIME_OMIT)
            out->what &= ~(i == 0 ? (unsigned)FS_ATIME : (unsigned)FS_MTIME);
        else if (times[i].tv_nsec != UTIME_NOW)
            *time = times[i];
        if (time->tv_nsec < 0 || time->tv_nsec >= (long)NS_PER_SECOND)
            return -EINVAL;
    }
    return 0;
}

int utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
    struct fs_change change;
    int error = times_change(times, &change);

    return error != 0 ? (int)glue_result(error) : change_at(at, path, flags, &change);
}

int futimens(int fd, const struct timespec times[2])
{
    struct fs_change change;
    int error = times_change(times, &change);

    return error != 0 ? (int)glue_result(error) : change_fd(fd, &change);
}

/* NULL as it is; -EINVAL. */
static int timespecs_from(const struct timeval times[2], struct timespec out[2])
{
    for (int i = 0; i < 2; i++) {
        if (times[i].tv_usec < 0 || times[i].tv_usec >= 1000000)
            return -EINVAL;
        out[i].tv_sec = times[i].tv_sec;
        out[i].tv_nsec = times[i].tv_usec * (long)NS_PER_US;
    }
    return 0;
}

int futimesat(int at, const char *path, const struct timeval times[2])
{
    struct timespec precise[2];
    int error = times != NULL ? timespecs_from(times, precise) : 0;

    return error != 0 ? (int)glue_result(error)
                      : utimensat(at, path, times != NULL ? precise : NULL, 0);
}

int utimes(const char *path, const struct timeval times[2])
{
    return futimesat(AT_FDCWD, path, times);
}

int lutimes(const char *path, const struct timeval times[2])
{
    struct timespec precise[2];
    int error = times != NULL ? timespecs_from(times, precise) : 0;

    return error != 0
               ? (int)glue_result(error)
               : utimensat(AT_FDCWD, path, times != NULL ? precise : NULL, AT_SYMLINK_NOFOLLOW);
}

int futimes(int fd, const struct timeval times[2])
{
    struct timespec precise[2];
    int error = times != NULL ? timespecs_from(times, precise) : 0;

    return error != 0 ? (int)glue_result(error) : futimens(fd, times != NULL ? precise : NULL);
}

int utime(const char *path, const struct utimbuf *times)
{
    struct timespec precise[2] = {{0}};

    if (times != NULL) {
        precise[0].tv_sec = times->actime;
        precise[1].tv_sec = times->modtime;
    }
    return utimensat(AT_FDCWD, path, times != NULL ? precise : NULL, 0);
}
