/*
 * The tree of an archive: nodes in one growing array, found by a hash of folder and name.
 *
 * Callers: kernel/initrd.c, tar.c, cpio.c; on the host, the tests. Locks: none, an archive is read
 * once by one thread and read-only afterwards.
 */
#include "kernel/archive.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FIRST_ROOM 64u
/* FNV-1a, 32 bits. */
#define HASH_BASIS 2166136261u
#define HASH_PRIME 16777619u

int archive_refuse(struct archive_reader *reader, struct archive_text name, const char *what)
{
    *reader->error = (struct archive_error){
        .what = what,
        .offset = reader->at,
        .name = name.bytes ? name.text : NULL,
        .name_bytes = name.bytes,
    };
    return -EINVAL;
}

/* --- Nodes ---------------------------------------------------------------------------------- */

static uint32_t *bucket_of(const struct archive *archive, uint32_t folder, const char *name,
                           size_t bytes)
{
    uint32_t hash = (HASH_BASIS ^ folder) * HASH_PRIME;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)name[i]) * HASH_PRIME;
    return &archive->buckets[(hash ^ hash >> 15) & (archive->room - 1)];
}

static void put_in_bucket(struct archive *archive, uint32_t index)
{
    struct archive_node *node = &archive->nodes[index];
    uint32_t *bucket = bucket_of(archive, node->parent, node->name, node->name_bytes);

    node->next_in_bucket = *bucket;
    *bucket = index;
}

/* One block: the nodes, behind them the buckets. */
static size_t block_bytes(uint32_t room)
{
    return room * (sizeof(struct archive_node) + sizeof(uint32_t));
}

static int make_room(struct archive *archive)
{
    uint32_t room = archive->room ? 2 * archive->room : FIRST_ROOM;

    if (room < archive->room)
        return -ENOMEM;
    void *block = archive->resize(archive->nodes, block_bytes(archive->room), block_bytes(room));
    if (!block)
        return -ENOMEM;
    archive->nodes = block;
    archive->buckets = (uint32_t *)(archive->nodes + room);
    archive->room = room;
    memset(archive->buckets, 0xff, room * sizeof(*archive->buckets)); /* ARCHIVE_NONE */
    for (uint32_t i = 0; i < archive->count; i++) {
        if (archive->nodes[i].name)
            put_in_bucket(archive, i);
    }
    return 0;
}

int archive_add_node(struct archive *archive, enum archive_kind kind, uint32_t *out)
{
    uint32_t index = archive->count;

    if (index == archive->room) {
        int error = make_room(archive);
        if (error)
            return error;
    }
    archive->nodes[index] = (struct archive_node){
        .parent = index,
        .next = ARCHIVE_NONE,
        .inode = index,
        .links = kind == ARCHIVE_FOLDER ? 2 : 1, /* a folder is its own "." */
        .kind = (uint8_t)kind,
    };
    if (kind == ARCHIVE_FOLDER) {
        archive->nodes[index].first_child = archive->nodes[index].last_child = ARCHIVE_NONE;
        archive->nodes[index].mode = 0755;
    }
    archive->count++;
    *out = index;
    return 0;
}

int archive_add_name(struct archive *archive, uint32_t folder, struct archive_text name,
                     enum archive_kind kind, uint32_t *out)
{
    uint32_t index;
    int error = archive_add_node(archive, kind, &index);

    if (error)
        return error;
    struct archive_node *node = &archive->nodes[index], *parent = &archive->nodes[folder];
    node->name = name.text;
    node->name_bytes = (uint8_t)name.bytes;
    node->parent = folder;
    if (parent->last_child == ARCHIVE_NONE)
        parent->first_child = index;
    else
        archive->nodes[parent->last_child].next = index;
    parent->last_child = index;
    if (kind == ARCHIVE_FOLDER)
        parent->links++; /* its ".." */
    put_in_bucket(archive, index);
    *out = index;
    return 0;
}

uint32_t archive_child(const struct archive *archive, uint32_t folder, const char *name,
                       size_t name_bytes)
{
    if (!archive->room)
        return ARCHIVE_NONE;
    uint32_t index = *bucket_of(archive, folder, name, name_bytes);

    for (; index != ARCHIVE_NONE; index = archive->nodes[index].next_in_bucket) {
        const struct archive_node *node = &archive->nodes[index];

        if (node->parent == folder && node->name_bytes == name_bytes &&
            memcmp(node->name, name, name_bytes) == 0)
            break;
    }
    return index;
}

/* --- Paths ---------------------------------------------------------------------------------- */

/* Takes the next component that is not "." off the path. False: there is none. */
static bool next_component(struct archive_text *path, struct archive_text *out)
{
    do {
        while (path->bytes && *path->text == '/')
            path->text++, path->bytes--;
        if (!path->bytes)
            return false;
        const char *end = memchr(path->text, '/', path->bytes);
        size_t bytes = end ? (size_t)(end - path->text) : path->bytes;

        *out = (struct archive_text){path->text, bytes};
        path->text += bytes;
        path->bytes -= bytes;
    } while (out->bytes == 1 && *out->text == '.');
    return true;
}

uint32_t archive_find(const struct archive *archive, struct archive_text path)
{
    uint32_t node = ARCHIVE_ROOT;
    struct archive_text component;

    while (node != ARCHIVE_NONE && next_component(&path, &component))
        node = archive_child(archive, node, component.text, component.bytes);
    return node;
}

static const char *check_component(struct archive_text component)
{
    if (component.bytes > ARCHIVE_NAME_MAX)
        return "a part of its path is longer than 255 bytes";
    if (component.bytes == 2 && memcmp(component.text, "..", 2) == 0)
        return "its path has a \"..\"";
    if (memchr(component.text, 0, component.bytes))
        return "its path has a zero byte";
    return NULL;
}

/* Follows the path from *node, making the folders that are not there; the last component stays in
 * *last, its folder in *node. */
static int walk(struct archive_reader *reader, const struct archive_entry *entry,
                struct archive_text path, uint32_t *node, struct archive_text *last)
{
    struct archive *archive = reader->archive;
    struct archive_text component;

    while (next_component(&path, &component)) {
        const char *problem = check_component(component);

        if (problem)
            return archive_refuse(reader, entry->path, problem);
        if (last->bytes) {
            uint32_t child = archive_child(archive, *node, last->text, last->bytes);

            if (child == ARCHIVE_NONE) {
                int error = archive_add_name(archive, *node, *last, ARCHIVE_FOLDER, &child);
                if (error)
                    return error;
            }
            if (archive_inode(archive, child)->kind != ARCHIVE_FOLDER)
                return archive_refuse(reader, entry->path, "it lies in what is no folder");
            *node = child;
        }
        *last = component;
    }
    return 0;
}

/* An entry whose name is there already: it replaces the former one, but a folder stays one. */
static int replace(struct archive_reader *reader, const struct archive_entry *entry, uint32_t index)
{
    struct archive *archive = reader->archive;
    struct archive_node *node = &archive->nodes[index];
    bool was_folder = archive->nodes[node->inode].kind == ARCHIVE_FOLDER;
    uint32_t inode;

    if (was_folder != (entry->kind == ARCHIVE_FOLDER))
        return archive_refuse(reader, entry->path,
                              was_folder ? "a folder of this name came before"
                                         : "something else of this name came before");
    if (was_folder || node->inode == entry->inode)
        return 0;
    /* The former one may have other names: the new one is not kept in its place. */
    int error = archive_add_node(archive, entry->kind, &inode);
    if (error)
        return error;
    node = &archive->nodes[index];
    archive->nodes[node->inode].links--;
    node->inode = inode;
    return 0;
}

int archive_add(struct archive_reader *reader, const struct archive_entry *entry, uint32_t *out)
{
    struct archive *archive = reader->archive;
    uint32_t index = ARCHIVE_ROOT;
    struct archive_text last = {NULL, 0};
    int error;

    if (entry->folder.bytes + entry->path.bytes > ARCHIVE_PATH_MAX)
        return archive_refuse(reader, (struct archive_text){entry->path.text, ARCHIVE_NAME_MAX},
                              "its path is longer than 4095 bytes");
    error = walk(reader, entry, entry->folder, &index, &last);
    if (!error)
        error = walk(reader, entry, entry->path, &index, &last);
    if (error)
        return error;
    if (!last.bytes) { /* the root itself */
        if (entry->kind != ARCHIVE_FOLDER)
            return archive_refuse(reader, entry->path, "it would be the root, but is no folder");
    } else {
        uint32_t folder = index;

        index = archive_child(archive, folder, last.text, last.bytes);
        if (index != ARCHIVE_NONE)
            error = replace(reader, entry, index);
        else
            error = archive_add_name(archive, folder, last, entry->kind, &index);
        if (error)
            return error;
    }
    struct archive_node *node = &archive->nodes[index];
    if (entry->inode != ARCHIVE_NONE && entry->inode != node->inode) {
        archive->nodes[node->inode].links--;
        node->inode = entry->inode;
        archive->nodes[node->inode].links++;
    } else if (entry->inode == ARCHIVE_NONE) {
        node = &archive->nodes[node->inode];
        node->kind = (uint8_t)entry->kind;
        node->mode = entry->mode & 07777;
        node->mtime_s = entry->mtime_s;
        if (entry->kind != ARCHIVE_FOLDER) {
            node->data = entry->data;
            node->bytes = entry->bytes;
        }
    }
    *out = index;
    return 0;
}

/* --- Reading -------------------------------------------------------------------------------- */

static const struct {
    const char *magic;
    size_t bytes;
    const char *what;
} unusable[] = {
    {"\x1f\x8b", 2, "it is compressed by gzip: unpack it first (gunzip)"},
    {"\xfd"
     "7zXZ",
     5, "it is compressed by xz: unpack it first (unxz)"},
    {"\x28\xb5\x2f\xfd", 4, "it is compressed by zstd: unpack it first (unzstd)"},
    {"BZh", 3, "it is compressed by bzip2: unpack it first (bunzip2)"},
    {"\x04\x22\x4d\x18", 4, "it is compressed by lz4: unpack it first (unlz4)"},
    {"PK\x03\x04", 4, "it is a zip archive: make it a tar or cpio archive"},
    {"070707", 6, "it is a cpio archive of the old format: make it with cpio -H newc"},
    {"\xc7\x71", 2, "it is a cpio archive of the old format: make it with cpio -H newc"},
};

static int read_format(struct archive_reader *reader)
{
    const struct archive_text none = {NULL, 0};

    if (reader->bytes == 0)
        return archive_refuse(reader, none, "it is empty");
    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        if (reader->bytes >= unusable[i].bytes &&
            memcmp(reader->data, unusable[i].magic, unusable[i].bytes) == 0)
            return archive_refuse(reader, none, unusable[i].what);
    }
    if (reader->bytes >= 5 && memcmp(reader->data, "07070", 5) == 0)
        return cpio_read(reader);
    return tar_read(reader);
}

int archive_read(struct archive *archive, const void *data, size_t bytes,
                 struct archive_error *error)
{
    struct archive_reader reader = {
        .archive = archive, .data = data, .bytes = bytes, .error = error};
    uint32_t root;
    int result = archive_add_node(archive, ARCHIVE_FOLDER, &root);

    if (!result)
        result = read_format(&reader);
    if (result)
        archive_free(archive);
    return result;
}

void archive_free(struct archive *archive)
{
    if (archive->room)
        archive->resize(archive->nodes, block_bytes(archive->room), 0);
    *archive = (struct archive){.resize = archive->resize};
}
