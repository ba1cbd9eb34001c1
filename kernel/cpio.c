/*
 * Reads cpio archives of the "newc" format, with (070702) and without (070701) checksums; several
 * may follow each other, with zero bytes between, as Linux takes its initramfs.
 *
 * Called by archive.c. Everything in the archive is checked against its end before it is used.
 * Source: cpio(5), "New ASCII Format"; Linux, buffer-format.rst.
 */
#include "kernel/archive.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ALIGN 4u
#define TRAILER "TRAILER!!!"
#define FIELD_BYTES 8u

/* The file types in `mode`. */
#define TYPE_MASK 0170000u
#define TYPE_FOLDER 0040000u
#define TYPE_FILE 0100000u
#define TYPE_SYMLINK 0120000u

struct header { /* each field hexadecimal */
    char magic[6];
    char ino[8], mode[8], uid[8], gid[8], links[8], mtime[8], size[8], device[16], rdevice[16];
    char name_bytes[8], checksum[8];
};
_Static_assert(sizeof(struct header) == 110, "as cpio(5) lays it out");

struct member {
    const struct header *header;
    uint32_t mode, links, mtime, size, name_bytes, checksum;
    struct archive_text name; /* without its NUL */
    const char *data;
    size_t end;
};

/* Where the hard links of one archive are looked up: folders named by device, in them names by
 * inode number, all outside the tree. */
struct links {
    uint32_t folder;
};

static bool read_hex(const char text[FIELD_BYTES], uint32_t *out)
{
    uint32_t value = 0;

    for (size_t i = 0; i < FIELD_BYTES; i++) {
        char c = text[i] | 0x20; /* lower case; digits stay */
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                                                : 16;

        if (digit == 16)
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static size_t align(size_t at)
{
    return (at + ALIGN - 1) & -(size_t)ALIGN;
}

/* Header and name, checked; `data` and `end` lie within the archive. */
static int read_member(struct archive_reader *reader, struct member *out)
{
    const struct archive_text none = {NULL, 0};
    size_t left = reader->bytes - reader->at;
    const struct header *header = (const void *)(reader->data + reader->at);

    if (left < sizeof(*header))
        return archive_refuse(reader, none, "it ends without a trailer");
    if (memcmp(header->magic, "070701", sizeof(header->magic)) != 0 &&
        memcmp(header->magic, "070702", sizeof(header->magic)) != 0)
        return archive_refuse(reader, none, "a header does not begin with 070701 or 070702");
    *out = (struct member){.header = header};
    if (!read_hex(header->mode, &out->mode) || !read_hex(header->links, &out->links) ||
        !read_hex(header->mtime, &out->mtime) || !read_hex(header->size, &out->size) ||
        !read_hex(header->name_bytes, &out->name_bytes) ||
        !read_hex(header->checksum, &out->checksum))
        return archive_refuse(reader, none, "a header has a field that is no number");
    left -= sizeof(*header);
    if (out->name_bytes == 0 || out->name_bytes > ARCHIVE_PATH_MAX + 1)
        return archive_refuse(reader, none, "a name has no length from 1 to 4095");
    if (out->name_bytes > left)
        return archive_refuse(reader, none, "it ends within a name");
    out->name = (struct archive_text){(const char *)(header + 1), out->name_bytes - 1};
    if (out->name.text[out->name.bytes] != 0)
        return archive_refuse(reader, out->name, "its name does not end with a zero byte");

    size_t start = align(reader->at + sizeof(*header) + out->name_bytes);
    if (out->size && (start > reader->bytes || out->size > reader->bytes - start))
        return archive_refuse(reader, out->name, "it is larger than what is left of the archive");
    out->data = reader->data + (start < reader->bytes ? start : reader->bytes);
    out->end = align(start + out->size);
    if (out->end > reader->bytes)
        out->end = reader->bytes;
    return 0;
}

static bool checksum_is_good(const struct member *member)
{
    uint32_t sum = 0;

    if (member->header->magic[5] != '2' || (member->mode & TYPE_MASK) != TYPE_FILE)
        return true;
    for (uint32_t i = 0; i < member->size; i++)
        sum += (uint8_t)member->data[i];
    /* Of a hard link only the name with the contents bears the sum. */
    return sum == member->checksum || member->size == 0;
}

/* The node under which names of the same file meet; a file node that is in no folder of the tree.
 */
static int find_shared(struct archive_reader *reader, const struct member *member,
                       const struct links *links, uint32_t *out)
{
    struct archive *archive = reader->archive;
    struct archive_text device = {member->header->device, sizeof(member->header->device)};
    struct archive_text ino = {member->header->ino, sizeof(member->header->ino)};
    uint32_t folder = archive_child(archive, links->folder, device.text, device.bytes);
    int error = 0;

    if (folder == ARCHIVE_NONE)
        error = archive_add_name(archive, links->folder, device, ARCHIVE_FOLDER, &folder);
    if (error)
        return error;
    *out = archive_child(archive, folder, ino.text, ino.bytes);
    if (*out != ARCHIVE_NONE)
        return 0;
    error = archive_add_name(archive, folder, ino, ARCHIVE_FILE, out);
    if (!error)
        archive->nodes[*out].links = 0; /* this is no name of it */
    return error;
}

static int add_file(struct archive_reader *reader, const struct member *member,
                    const struct links *links, struct archive_entry *entry)
{
    struct archive *archive = reader->archive;
    uint32_t node;

    entry->kind = ARCHIVE_FILE;
    if (member->links > 1) {
        int error = find_shared(reader, member, links, &entry->inode);
        if (error)
            return error;
        struct archive_node *shared = &archive->nodes[entry->inode];
        if (member->size) { /* one of the names comes with the contents, which one is open */
            shared->data = member->data;
            shared->bytes = member->size;
        }
        shared->mode = member->mode & 07777;
        shared->mtime_s = member->mtime;
    }
    return archive_add(reader, entry, &node);
}

static int add_member(struct archive_reader *reader, const struct member *member,
                      const struct links *links)
{
    struct archive_entry entry = {
        .path = member->name,
        .data = member->data,
        .bytes = member->size,
        .mtime_s = member->mtime,
        .mode = member->mode,
        .inode = ARCHIVE_NONE,
    };
    uint32_t node;

    if (!member->name.bytes)
        return archive_refuse(reader, member->name, "it has no name");
    if (!checksum_is_good(member))
        return archive_refuse(reader, member->name, "its checksum is wrong");
    switch (member->mode & TYPE_MASK) {
    case TYPE_FILE:
        return add_file(reader, member, links, &entry);
    case TYPE_FOLDER:
        entry.kind = ARCHIVE_FOLDER;
        return archive_add(reader, &entry, &node);
    case TYPE_SYMLINK:
        if (!member->size || member->size > ARCHIVE_PATH_MAX)
            return archive_refuse(reader, member->name,
                                  "a symbolic link's target has no length "
                                  "from 1 to 4095");
        entry.kind = ARCHIVE_SYMLINK;
        return archive_add(reader, &entry, &node);
    default:
        reader->archive->left_out++;
        return 0;
    }
}

static int read_archive(struct archive_reader *reader)
{
    struct links links;
    int error = archive_add_node(reader->archive, ARCHIVE_FOLDER, &links.folder);

    for (;;) {
        struct member member;

        if (!error)
            error = read_member(reader, &member);
        if (error)
            return error;
        if (member.name.bytes == strlen(TRAILER) &&
            memcmp(member.name.text, TRAILER, member.name.bytes) == 0) {
            reader->at = member.end;
            return 0;
        }
        error = add_member(reader, &member, &links);
        reader->at = member.end;
    }
}

int cpio_read(struct archive_reader *reader)
{
    for (;;) {
        int error = read_archive(reader);

        if (error)
            return error;
        while (reader->at < reader->bytes && reader->data[reader->at] == 0)
            reader->at++;
        if (reader->at == reader->bytes)
            return 0;
        if (reader->at % ALIGN)
            return archive_refuse(reader, (struct archive_text){NULL, 0},
                                  "an archive behind the first does not begin at a multiple of 4");
    }
}
