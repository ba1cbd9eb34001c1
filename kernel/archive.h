/*
 * A tar or cpio archive in memory as a read-only tree of files. Nothing of the archive is copied:
 * names, contents and targets of symbolic links point into it, so it must stay as it is.
 *
 * The archive is input and may be hostile: whatever it says is checked, and one defect refuses all
 * of it, with the entry named. Understood are tar (v7, ustar, pax, GNU's long names; hard links)
 * and cpio (newc, with and without checksums; hard links; several behind each other, as Linux takes
 * them). Of names that occur twice, the last one counts. Devices, FIFOs and sockets are left out.
 * Depends on no kernel: it compiles on the host as well, for its tests.
 *
 * Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
 * "Basic Tar Format"; cpio(5); Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef KERNEL_ARCHIVE_H
#define KERNEL_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#define ARCHIVE_NONE UINT32_MAX
#define ARCHIVE_ROOT 0u
#define ARCHIVE_NAME_MAX 255
#define ARCHIVE_PATH_MAX 4095

enum archive_kind { ARCHIVE_FILE, ARCHIVE_FOLDER, ARCHIVE_SYMLINK };

/* A name in a folder. What it names is archive_inode()'s, which several names may share. */
struct archive_node {
    const char *name; /* name_bytes bytes, without NUL */
    union {
        const void *data; /* a file's contents, a symbolic link's target */
        struct {
            uint32_t first_child, last_child; /* a folder's; ARCHIVE_NONE: empty */
        };
    };
    uint64_t bytes; /* of data */
    int64_t mtime_s;
    uint32_t parent; /* the root's is the root */
    uint32_t next;   /* in the same folder, in the archive's order, or ARCHIVE_NONE */
    uint32_t next_in_bucket;
    uint32_t inode;
    uint32_t links; /* names of this inode */
    uint16_t mode;  /* the permission bits, 07777 */
    uint8_t name_bytes;
    uint8_t kind; /* enum archive_kind */
};

struct archive {
    /* Supplied by the caller: like realloc, with the old size; NULL: out of memory. New bytes 0:
     * frees. */
    void *(*resize)(void *old, size_t old_bytes, size_t new_bytes);

    struct archive_node *nodes;
    uint32_t *buckets;
    uint32_t count, room; /* of nodes; a power of two of buckets */
    uint32_t left_out;    /* entries that are no file, folder or symbolic link */
};

/* Why an archive was refused. */
struct archive_error {
    const char *what;
    uint64_t offset;  /* where the entry, or what should have been one, begins */
    const char *name; /* of the entry (in the archive, not NUL-terminated), or NULL */
    size_t name_bytes;
};

/* Reads the archive into *archive, whose `resize` is set and the rest zero. 0, -EINVAL (refused:
 * *error tells why) or -ENOMEM; *archive is empty after an error. */
int archive_read(struct archive *archive, const void *data, size_t bytes,
                 struct archive_error *error);
void archive_free(struct archive *archive);

/* The entry of a folder by its name, or ARCHIVE_NONE. */
uint32_t archive_child(const struct archive *archive, uint32_t folder, const char *name,
                       size_t name_bytes);

static inline const struct archive_node *archive_inode(const struct archive *archive, uint32_t node)
{
    return &archive->nodes[archive->nodes[node].inode];
}

/* --- For the readers of the formats (tar.c, cpio.c) ----------------------------------------- */

struct archive_text {
    const char *text;
    size_t bytes;
};

struct archive_entry {
    struct archive_text folder, path; /* FOLDER/PATH; folder may be empty */
    enum archive_kind kind;
    const void *data;
    uint64_t bytes;
    int64_t mtime_s;
    uint32_t mode;
    uint32_t inode; /* another name for this one, or ARCHIVE_NONE: a new one */
};

struct archive_reader {
    struct archive *archive;
    const char *data;
    size_t bytes, at; /* at: where the current entry begins */
    struct archive_error *error;
};

int tar_read(struct archive_reader *reader);
int cpio_read(struct archive_reader *reader);

/* Notes the reason and returns -EINVAL. */
int archive_refuse(struct archive_reader *reader, struct archive_text name, const char *what);
/* Adds an entry and the folders that it lies in; *out is its node. 0, -EINVAL, -ENOMEM. */
int archive_add(struct archive_reader *reader, const struct archive_entry *entry, uint32_t *out);
/* A node that is in no folder, and a name in such a folder. 0, -ENOMEM. */
int archive_add_node(struct archive *archive, enum archive_kind kind, uint32_t *out);
int archive_add_name(struct archive *archive, uint32_t folder, struct archive_text name,
                     enum archive_kind kind, uint32_t *out);
/* The node that a path leads to from the root, no symbolic link followed, or ARCHIVE_NONE. */
uint32_t archive_find(const struct archive *archive, struct archive_text path);

#endif
