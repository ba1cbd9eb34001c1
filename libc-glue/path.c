/*
 * The walk along paths, and the working folder.
 *
 * Callers: see path.h; and programs. Lock: `lock` protects the working folder.
 */
#include "libc-glue/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/fd.h"
#include "libc-glue/glue.h"

#define SYMLINKS_MAX 40 /* followed on one path, as on Linux */

static struct mutex lock = MUTEX_INIT;
static struct fs_node working_folder; /* none: "/" */

/* --- Finding ---------------------------------------------------------------------------------- */

int path_node_of_fd(int fd, struct fs_node *out)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error != 0)
        return error;
    if (file->node.fs != NULL)
        *out = fs_get(file->node);
    else
        error = -EINVAL;
    file_put(file);
    return error;
}

static struct fs_node get_working_folder(void)
{
    mutex_lock(&lock);
    struct fs_node folder = working_folder.fs != NULL ? fs_get(working_folder) : mount_root();
    mutex_unlock(&lock);
    return folder;
}

/* The folder that paths below `at` begin at. */
static int start_of(int at, struct fs_node *out)
{
    if (at == AT_FDCWD) {
        *out = get_working_folder();
        return 0;
    }
    int error = path_node_of_fd(at, out);
    if (error == 0 && !fs_is_folder(*out)) {
        fs_put(*out);
        error = -ENOTDIR;
    }
    return error == -EINVAL ? -ENOTDIR : error;
}

struct walk {
    struct fs_node at; /* how far it has come */
    const char *rest;  /* of the path */
    char *buffer;      /* that rest is in, once a symbolic link was followed */
    unsigned symlinks; /* followed */
    enum path_how how;
};

/* `link` stands for what it says: that is to be walked before the rest. */
static int follow(struct walk *walk, struct fs_node link)
{
    size_t rest_bytes = strlen(walk->rest) + 1;

    if (++walk->symlinks > SYMLINKS_MAX)
        return -ELOOP;
    char *buffer = malloc(PATH_MAX + rest_bytes);
    if (buffer == NULL)
        return -ENOMEM;
    ssize_t bytes = link.fs->readlink(link.id, buffer, PATH_MAX);
    if (bytes <= 0) {
        free(buffer);
        return bytes < 0 ? (int)bytes : -ENOENT;
    }
    memcpy(buffer + bytes, walk->rest, rest_bytes);
    free(walk->buffer);
    walk->buffer = buffer;
    walk->rest = buffer;
    if (*buffer == '/') {
        fs_put(walk->at);
        walk->at = mount_root();
    }
    return 0;
}

/* The entry of a folder, or what is mounted there. */
static int look_up(struct fs_node folder, const char *name, size_t bytes, struct fs_node *out)
{
    if (fs_is_same(folder, mount_root()) && mount_find(name, bytes, out))
        return 0;
    return folder.fs->lookup(folder.id, name, bytes, out);
}

static int go_up(struct walk *walk)
{
    char name[NAME_MAX + 1];
    struct fs_node parent;
    int error = 0;

    if (mount_name_of(walk->at) != NULL)
        parent = mount_root(); /* its own, too */
    else
        error = walk->at.fs->parent(walk->at.id, &parent, name);
    if (error == 0) {
        fs_put(walk->at);
        walk->at = parent;
    }
    return error;
}

static const char *skip_slashes(const char *text)
{
    while (*text == '/')
        text++;
    return text;
}

/* One component, a name of `bytes` at walk->rest. 1: it was the last one, *out tells of it. */
static int step(struct walk *walk, size_t bytes, struct path *out)
{
    const char *name = walk->rest;
    struct fs_node found;

    walk->rest += bytes;
    bool is_last = *skip_slashes(walk->rest) == 0;
    bool follow_last = walk->how == PATH_FOLLOW || (*walk->rest != 0 && walk->how != PATH_ENTRY);
    int error = look_up(walk->at, name, bytes, &found);
    if (error == -ENOENT && is_last) {
        found = (struct fs_node){0};
    } else if (error != 0) {
        return error;
    } else if ((!is_last || follow_last) && found.fs->type(found.id) == S_IFLNK) {
        error = follow(walk, found);
        fs_put(found);
        return error;
    }
    if (!is_last) {
        fs_put(walk->at);
        walk->at = found;
        return 0;
    }
    out->last = PATH_NAME;
    out->folder = walk->at;
    out->node = found;
    memcpy(out->name, name, bytes);
    out->name[bytes] = 0;
    out->name_bytes = bytes;
    out->has_slash = *walk->rest != 0;
    walk->at = (struct fs_node){0};
    return 1;
}

/* To the end: *out is complete but for what is at the end of a path that no name ends. */
static int go(struct walk *walk, struct path *out)
{
    int result = 0;

    out->last = PATH_SLASH;
    while (result == 0) {
        bool has_slash = *walk->rest == '/';

        walk->rest = skip_slashes(walk->rest);
        if (*walk->rest == 0) {
            out->has_slash = has_slash;
            break;
        }
        size_t bytes = strcspn(walk->rest, "/");
        if (!fs_is_folder(walk->at))
            return -ENOTDIR;
        if (bytes > NAME_MAX)
            return -ENAMETOOLONG;
        if (bytes == 1 && walk->rest[0] == '.') {
            out->last = PATH_DOT;
            walk->rest += bytes;
        } else if (bytes == 2 && walk->rest[0] == '.' && walk->rest[1] == '.') {
            out->last = PATH_DOTDOT;
            walk->rest += bytes;
            result = go_up(walk);
        } else {
            result = step(walk, bytes, out);
        }
    }
    return result < 0 ? result : 0;
}

int path_walk(int at, const char *path, enum path_how how, struct path *out)
{
    struct walk walk = {.rest = path, .how = how};
    size_t bytes = strnlen(path, PATH_MAX);
    int error = 0;

    *out = (struct path){0};
    if (bytes == 0)
        return -ENOENT;
    if (bytes == PATH_MAX)
        return -ENAMETOOLONG;
    if (*path == '/')
        walk.at = mount_root();
    else
        error = start_of(at, &walk.at);
    if (error != 0)
        return error;
    error = go(&walk, out);
    free(walk.buffer);
    if (error == 0 && out->last != PATH_NAME)
        out->node = walk.at;
    else
        fs_put(walk.at);
    if (error == 0 && out->node.fs != NULL && how != PATH_ENTRY && out->has_slash &&
        !fs_is_folder(out->node)) {
        path_put(out);
        return -ENOTDIR;
    }
    return error;
}

void path_put(struct path *path)
{
    fs_put(path->node);
    fs_put(path->folder);
}

int path_node(int at, const char *path, enum path_how how, struct fs_node *out)
{
    struct path found;
    int error = path_walk(at, path, how, &found);

    if (error != 0)
        return error;
    if (found.node.fs != NULL)
        *out = fs_get(found.node);
    else
        error = -ENOENT;
    path_put(&found);
    return error;
}

/* --- Back to text ----------------------------------------------------------------------------- */

/* Puts "/NAME" in front of what begins at *start. */
static int prepend(const char *name, const char *buffer, char **start)
{
    size_t bytes = strlen(name);

    if (bytes + 1 > (size_t)(*start - buffer))
        return -ENAMETOOLONG;
    *start -= bytes;
    memcpy(*start, name, bytes);
    *--*start = '/';
    return 0;
}

/* Puts the path of a folder in front of what begins at *start, a path or the end. */
static int prepend_folder(struct fs_node folder, const char *buffer, char **start)
{
    struct fs_node at = fs_get(folder), parent;
    char name[NAME_MAX + 1];
    const char *mount;
    int error = 0;

    while (error == 0 && (mount = mount_name_of(at)) == NULL) {
        error = at.fs->parent(at.id, &parent, name);
        if (error == 0) {
            fs_put(at);
            at = parent;
            error = prepend(name, buffer, start);
        }
    }
    if (error == 0 && (*mount != 0 || **start == 0))
        error = prepend(mount, buffer, start);
    fs_put(at);
    return error;
}

char *realpath(const char *restrict path, char *restrict out)
{
    char buffer[PATH_MAX], *start = buffer + PATH_MAX - 1;
    struct path found;
    int error = path != NULL ? path_walk(AT_FDCWD, path, PATH_FOLLOW, &found) : -EINVAL;

    *start = 0;
    if (error == 0) {
        if (found.node.fs == NULL)
            error = -ENOENT;
        else if (fs_is_folder(found.node))
            error = prepend_folder(found.node, buffer, &start);
        else if ((error = prepend(found.name, buffer, &start)) == 0)
            error = prepend_folder(found.folder, buffer, &start);
        path_put(&found);
    }
    if (error != 0) {
        errno = -error;
        return NULL;
    }
    return out != NULL ? strcpy(out, start) : strdup(start);
}

/* --- The working folder ----------------------------------------------------------------------- */

/* Takes over the reference. */
static int change_folder(struct fs_node folder)
{
    bool is_folder = fs_is_folder(folder);

    if (is_folder) {
        mutex_lock(&lock);
        struct fs_node old = working_folder;
        working_folder = folder;
        mutex_unlock(&lock);
        folder = old;
    }
    fs_put(folder);
    return is_folder ? 0 : -ENOTDIR;
}

int chdir(const char *path)
{
    struct fs_node folder;
    int error = path_node(AT_FDCWD, path, PATH_FOLLOW, &folder);

    return (int)glue_result(error != 0 ? error : change_folder(folder));
}

int fchdir(int fd)
{
    struct fs_node folder;
    int error = path_node_of_fd(fd, &folder);

    if (error == 0)
        error = change_folder(folder);
    return (int)glue_result(error == -EINVAL ? -ENOTDIR : error);
}

/* Without a buffer it allocates one, of the needed size where none is given (as on Linux). */
char *getcwd(char *out, size_t bytes)
{
    char buffer[PATH_MAX], *start = buffer + PATH_MAX - 1;
    struct fs_node folder = get_working_folder();

    *start = 0;
    int error = prepend_folder(folder, buffer, &start);
    fs_put(folder);
    size_t needed = (size_t)(buffer + PATH_MAX - start);

    if (out != NULL && bytes == 0)
        error = -EINVAL;
    else if (error == 0 && bytes != 0 && bytes < needed)
        error = -ERANGE;
    if (error != 0) {
        errno = -error;
        return NULL;
    }
    if (out == NULL)
        out = malloc(bytes != 0 ? bytes : needed);
    return out != NULL ? strcpy(out, start) : NULL;
}
