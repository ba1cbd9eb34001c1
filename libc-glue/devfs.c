/*
 * devfs: devices as files, at /dev: the console, the usual ones without hardware, the disks, and
 * the open descriptors (/dev/fd/N, and stdin, stdout, stderr): opening these is dup, as on the
 * BSDs.
 *
 * An id is: 0 the folder, from 1 on a row of `devices`, then descriptors, then disks.
 * Callers: see fs.h, and the table of descriptors through the operations. Locks: none; nothing
 * changes but the descriptors.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libc-glue/console_file.h"
#include "libc-glue/disk_file.h"
#include "libc-glue/fd.h"
#include "libc-glue/fs.h"
#include "libc-glue/random.h"

#define DEVICE 2 /* st_dev */
#define ROOT_ID 0
#define FD_ID 100                  /* of descriptor 0 */
#define DISK_ID (FD_ID + FD_LIMIT) /* of the first disk */
#define NUMBER(major, minor) ((major) << 8 | (minor))

enum kind { NULL_DEVICE, ZERO, FULL, RANDOM, CONSOLE, DESCRIPTOR, FD_FOLDER };

/* Numbers are Linux's (its admin-guide/devices.txt). */
static const struct device {
    const char *name;
    enum kind kind;
    unsigned number; /* of a DESCRIPTOR: which */
} devices[] = {
    {"console", CONSOLE, NUMBER(5, 1)},  {"fd", FD_FOLDER, 0},
    {"full", FULL, NUMBER(1, 7)},        {"null", NULL_DEVICE, NUMBER(1, 3)},
    {"random", RANDOM, NUMBER(1, 8)},    {"stderr", DESCRIPTOR, STDERR_FILENO},
    {"stdin", DESCRIPTOR, STDIN_FILENO}, {"stdout", DESCRIPTOR, STDOUT_FILENO},
    {"tty", CONSOLE, NUMBER(5, 0)},      {"urandom", RANDOM, NUMBER(1, 9)},
    {"zero", ZERO, NUMBER(1, 5)},
};

#define COUNT (sizeof(devices) / sizeof(devices[0]))

static struct fs_node node_of(uintptr_t id)
{
    return (struct fs_node){&devfs, id};
}

/* NULL: none of the table. */
static const struct device *device_of(uintptr_t id)
{
    return id > ROOT_ID && id <= COUNT ? &devices[id - 1] : NULL;
}

/* NULL: no disk. */
static struct blkdev *disk_of(uintptr_t id)
{
    struct blkdev *disk = id >= DISK_ID ? blkdev_first() : NULL;

    for (; disk != NULL && id > DISK_ID; id--)
        disk = blkdev_next(disk);
    return disk;
}

/* The descriptor, or -1. */
static int descriptor_of(uintptr_t id)
{
    const struct device *device = device_of(id);

    if (device != NULL && device->kind == DESCRIPTOR)
        return (int)device->number;
    return id >= FD_ID && id < DISK_ID ? (int)(id - FD_ID) : -1;
}

static bool is_folder(uintptr_t id)
{
    const struct device *device = device_of(id);

    return id == ROOT_ID || (device != NULL && device->kind == FD_FOLDER);
}

static int root(struct fs_node *out)
{
    *out = node_of(ROOT_ID);
    return 0;
}

static mode_t type_of(uintptr_t id)
{
    if (is_folder(id))
        return S_IFDIR;
    return id >= DISK_ID ? S_IFBLK : S_IFCHR;
}

static int stat_descriptor(int fd, struct stat *out)
{
    struct file *file;
    int error = fd_get(fd, &file);

    if (error != 0)
        return -ENOENT;
    error = file->ops->stat != NULL ? file->ops->stat(file, out) : 0;
    file_put(file);
    return error;
}

static int stat_node(uintptr_t id, struct stat *out)
{
    const struct device *device = device_of(id);

    if (id >= DISK_ID) {
        disk_file_stat(disk_of(id), out);
        return 0;
    }
    if (descriptor_of(id) >= 0)
        return stat_descriptor(descriptor_of(id), out);
    out->st_dev = DEVICE;
    out->st_ino = DISK_ID + id; /* apart from the disks' */
    out->st_nlink = is_folder(id) ? 2 : 1;
    out->st_mode = is_folder(id) ? S_IFDIR | 0755 : S_IFCHR | 0666;
    if (!is_folder(id))
        out->st_rdev = device->number;
    out->st_blksize = 4096;
    return 0;
}

static int tell_of_all(struct statvfs *out)
{
    out->f_bsize = out->f_frsize = 4096;
    out->f_fsid = DEVICE;
    out->f_flag = ST_RDONLY;
    out->f_namemax = NAME_MAX;
    return 0;
}

/* The id of an entry of "fd", or -ENOENT. */
static long find_descriptor(const char *name, size_t bytes)
{
    struct file *file;
    long fd = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9' || (bytes > 1 && name[0] == '0') || fd >= FD_LIMIT)
            return -ENOENT;
        fd = fd * 10 + name[i] - '0';
    }
    if (fd_get((int)fd, &file) != 0)
        return -ENOENT;
    file_put(file);
    return FD_ID + fd;
}

static bool is_name(const char *a, const char *b, size_t bytes)
{
    return strncmp(a, b, bytes) == 0 && a[bytes] == 0;
}

/* Likewise, of "/dev". */
static long find_device(const char *name, size_t bytes)
{
    long id = DISK_ID;

    for (size_t i = 0; i < COUNT; i++)
        if (is_name(devices[i].name, name, bytes))
            return (long)i + 1;
    for (struct blkdev *disk = blkdev_first(); disk != NULL; disk = blkdev_next(disk), id++)
        if (is_name(disk->name, name, bytes))
            return id;
    return -ENOENT;
}

static int lookup(uintptr_t folder, const char *name, size_t bytes, struct fs_node *out)
{
    long id = folder == ROOT_ID ? find_device(name, bytes) : find_descriptor(name, bytes);

    if (id < 0)
        return (int)id;
    *out = node_of((uintptr_t)id);
    return 0;
}

static int parent(uintptr_t folder, struct fs_node *out, char name[NAME_MAX + 1])
{
    strcpy(name, device_of(folder)->name);
    *out = node_of(ROOT_ID);
    return 0;
}

static bool add(struct fs_entries *entries, off_t *position, uintptr_t id, const char *name)
{
    struct stat info = {0};
    struct fs_entry entry = {.name = name, .name_bytes = strlen(name), .next = *position + 1};

    stat_node(id, &info);
    entry.number = info.st_ino != 0 ? info.st_ino : DISK_ID + id; /* 0 is no entry */
    entry.type = info.st_mode & S_IFMT;
    if (!fs_add_entry(entries, &entry))
        return false;
    *position = entry.next;
    return true;
}

/* An entry's position is its descriptor. */
static void list_descriptors(off_t *position, struct fs_entries *entries)
{
    char name[12];

    for (; *position - FS_FIRST_POSITION < FD_LIMIT; ++*position) {
        int fd = (int)(*position - FS_FIRST_POSITION);
        struct file *file;

        if (fd_get(fd, &file) != 0)
            continue;
        file_put(file);
        snprintf(name, sizeof(name), "%d", fd);
        if (!add(entries, position, FD_ID + (uintptr_t)fd, name))
            return;
        --*position;
    }
}

/* The table, then the disks. */
static int list(uintptr_t folder, off_t *position, struct fs_entries *entries)
{
    struct blkdev *disk;

    if (folder != ROOT_ID) {
        list_descriptors(position, entries);
        return 0;
    }
    while ((size_t)(*position - FS_FIRST_POSITION) < COUNT) {
        size_t i = (size_t)(*position - FS_FIRST_POSITION);

        if (!add(entries, position, i + 1, devices[i].name))
            return 0;
    }
    while ((disk = disk_of(DISK_ID + (size_t)(*position - FS_FIRST_POSITION) - COUNT)) != NULL)
        if (!add(entries, position, DISK_ID + (size_t)(*position - FS_FIRST_POSITION) - COUNT,
                 disk->name))
            break;
    return 0;
}

/* --- Devices without hardware ----------------------------------------------------------------- */

static int stat_file(struct file *file, struct stat *out)
{
    return stat_node(file->node.id, out);
}

static ssize_t read_nothing(struct file *file, const struct iovec *to, int count, off_t *position)
{
    (void)file, (void)to, (void)count, (void)position;
    return 0;
}

static ssize_t read_zeroes(struct file *file, const struct iovec *to, int count, off_t *position)
{
    ssize_t done = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++) {
        memset(to[i].iov_base, 0, to[i].iov_len);
        done += (ssize_t)to[i].iov_len;
    }
    return done;
}

static ssize_t read_random(struct file *file, const struct iovec *to, int count, off_t *position)
{
    ssize_t done = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++) {
        int error = to[i].iov_len != 0 ? random_bytes(to[i].iov_base, to[i].iov_len) : 0;

        if (error != 0)
            return done > 0 ? done : error;
        done += (ssize_t)to[i].iov_len;
    }
    return done;
}

/* Nobody outside is trusted to add randomness, either. */
static ssize_t write_anything(struct file *file, const struct iovec *from, int count,
                              off_t *position)
{
    ssize_t done = 0;

    (void)file, (void)position;
    for (int i = 0; i < count; i++)
        done += (ssize_t)from[i].iov_len;
    return done;
}

static ssize_t write_full(struct file *file, const struct iovec *from, int count, off_t *position)
{
    return write_anything(file, from, count, position) == 0 ? 0 : -ENOSPC;
}

static int release(struct file *file)
{
    free(file);
    return 0;
}

/* Positions mean nothing here, but are no error. */
#define SOFT_DEVICE(read_function, write_function)                                                 \
    {                                                                                              \
        .seekable = true, .read = read_function, .write = write_function, .stat = stat_file,       \
        .release = release,                                                                        \
    }

static const struct file_ops operations[] = {
    [NULL_DEVICE] = SOFT_DEVICE(read_nothing, write_anything),
    [ZERO] = SOFT_DEVICE(read_zeroes, write_anything),
    [FULL] = SOFT_DEVICE(read_zeroes, write_full),
    [RANDOM] = SOFT_DEVICE(read_random, write_anything),
};

/* --- Opening ---------------------------------------------------------------------------------- */

static struct file *open_console(int flags)
{
    int access = flags & O_ACCMODE;

    return file_reference(access == O_RDONLY   ? &console_input
                          : access == O_WRONLY ? &console_output
                                               : &console_terminal);
}

static int open_descriptor(int fd, int flags, struct file **out)
{
    int access = flags & O_ACCMODE;

    if (fd_get(fd, out) != 0)
        return -ENOENT;
    if ((access == O_WRONLY || file_is_readable(*out)) &&
        (access == O_RDONLY || file_is_writable(*out)))
        return 0;
    file_put(*out);
    return -EACCES;
}

static int open_device(struct fs_node node, int flags, struct file **out)
{
    const struct device *device = device_of(node.id);

    if (node.id >= DISK_ID)
        return disk_file_open(node, disk_of(node.id), flags, out);
    if (descriptor_of(node.id) >= 0)
        return open_descriptor(descriptor_of(node.id), flags, out);
    if (device->kind == CONSOLE) {
        *out = open_console(flags);
        return 0;
    }
    struct file *file = malloc(sizeof(*file));
    if (file == NULL)
        return -ENOMEM;
    fs_file_init(file, &operations[device->kind], flags, node);
    *out = file;
    return 0;
}

const struct fs_ops devfs = {
    .root = root,
    .type = type_of,
    .stat = stat_node,
    .statvfs = tell_of_all,
    .lookup = lookup,
    .parent = parent,
    .entries = list,
    .open = open_device,
};
