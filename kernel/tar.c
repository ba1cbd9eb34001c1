/*
 * Reads tar archives: v7, ustar, pax, and GNU's long names.
 *
 * Called by archive.c. Everything in the archive is checked against its end before it is used.
 * Source: POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format".
 */
#include "kernel/archive.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLOCK_BYTES 512u

struct header { /* POSIX, table 4-14, "ustar Header Block" */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK_BYTES, "a header is a block");

enum tar_type {
    TYPE_FILE = '0',
    TYPE_OLD_FILE = '\0',
    TYPE_HARD_LINK = '1',
    TYPE_SYMLINK = '2',
    TYPE_CHARACTER_DEVICE = '3',
    TYPE_BLOCK_DEVICE = '4',
    TYPE_FOLDER = '5',
    TYPE_FIFO = '6',
    TYPE_CONTIGUOUS_FILE = '7',
    TYPE_PAX = 'x',
    TYPE_PAX_SUN = 'X',
    TYPE_PAX_GLOBAL = 'g',
    TYPE_GNU_LONG_NAME = 'L',
    TYPE_GNU_LONG_LINK = 'K',
    TYPE_GNU_LABEL = 'V',
    TYPE_GNU_SPARSE = 'S',
    TYPE_GNU_CONTINUED = 'M',
};

/* What precedes an entry and counts for it alone; it wins over the entry's own header. */
struct extension {
    struct archive_text path, link;
    bool has_size, has_mtime;
    uint64_t size;
    int64_t mtime_s;
};

static struct archive_text field(const char *text, size_t bytes)
{
    return (struct archive_text){text, strnlen(text, bytes)};
}

/* Octal with blanks around, or (GNU) binary, marked by the first bit. False: neither, or more than
 * 63 bits. An empty field is 0. */
static bool read_number(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;

    if ((uint8_t)text[0] & 0x80) {
        value = (uint8_t)text[0] & 0x7f;
        for (i = 1; i < bytes; i++) {
            if (value >> 55)
                return false;
            value = value << 8 | (uint8_t)text[i];
        }
        *out = value;
        return true;
    }
    while (i < bytes && text[i] == ' ')
        i++;
    for (; i < bytes && text[i] >= '0' && text[i] <= '7'; i++) {
        if (value >> 60)
            return false;
        value = value << 3 | (uint64_t)(text[i] - '0');
    }
    while (i < bytes && (text[i] == ' ' || text[i] == 0))
        i++;
    *out = value;
    return i == bytes;
}

/* The sum of all bytes, those of the field itself counted as blanks. Old tars summed signed. */
static bool checksum_is_good(const struct header *header)
{
    const char *bytes = (const char *)header;
    int64_t sum = 0, signed_sum = 0;
    uint64_t expected;

    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        bool is_field = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);

        sum += is_field ? ' ' : (uint8_t)bytes[i];
        signed_sum += is_field ? ' ' : (int8_t)bytes[i];
    }
    return read_number(header->checksum, sizeof(header->checksum), &expected) &&
           ((uint64_t)sum == expected || (uint64_t)signed_sum == expected);
}

static bool is_zero(const struct header *header)
{
    const char *bytes = (const char *)header;

    return bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK_BYTES - 1) == 0;
}

/* --- pax records: "LENGTH KEY=VALUE\n" ------------------------------------------------------ */

/* Decimal; digits behind a point are passed over. *is_negative only where not NULL. */
static bool read_decimal(struct archive_text text, bool *is_negative, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;

    if (is_negative && text.bytes && text.text[0] == '-')
        *is_negative = true, i = 1;
    if (i == text.bytes)
        return false;
    for (; i < text.bytes && text.text[i] >= '0' && text.text[i] <= '9'; i++) {
        if (value >= UINT64_C(1) << 59)
            return false;
        value = value * 10 + (uint64_t)(text.text[i] - '0');
    }
    *out = value;
    return i == text.bytes || (is_negative && text.text[i] == '.');
}

static bool is_text(struct archive_text text, const char *other)
{
    return text.bytes == strlen(other) && memcmp(text.text, other, text.bytes) == 0;
}

/* NULL, or what is wrong with it. */
static const char *use_record(struct extension *extension, struct archive_text key,
                              struct archive_text value)
{
    static const char sparse[] = "GNU.sparse.";
    bool is_negative = false;
    uint64_t number;

    if (is_text(key, "path")) {
        extension->path = value;
    } else if (is_text(key, "linkpath")) {
        extension->link = value;
    } else if (is_text(key, "size")) {
        if (!read_decimal(value, NULL, &extension->size))
            return "its pax header's size is no number";
        extension->has_size = true;
    } else if (is_text(key, "mtime")) {
        if (!read_decimal(value, &is_negative, &number))
            return "its pax header's mtime is no number";
        extension->mtime_s = is_negative ? -(int64_t)number : (int64_t)number;
        extension->has_mtime = true;
    } else if (key.bytes >= strlen(sparse) && memcmp(key.text, sparse, strlen(sparse)) == 0) {
        return "it is a sparse file: make the archive without --sparse";
    }
    return NULL;
}

/* NULL, or what is wrong with them. */
static const char *read_records(struct archive_text records, struct extension *extension)
{
    static const char malformed[] = "its pax header is malformed";

    while (records.bytes) {
        const char *blank = memchr(records.text, ' ', records.bytes);
        uint64_t length;

        if (!blank ||
            !read_decimal((struct archive_text){records.text, (size_t)(blank - records.text)}, NULL,
                          &length))
            return malformed;
        const char *key = blank + 1;
        if (length > records.bytes || length <= (size_t)(key - records.text) ||
            records.text[length - 1] != '\n')
            return malformed;
        const char *end = records.text + length - 1;
        const char *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals)
            return malformed;
        const char *problem =
            use_record(extension, (struct archive_text){key, (size_t)(equals - key)},
                       (struct archive_text){equals + 1, (size_t)(end - equals - 1)});
        if (problem)
            return problem;
        records.text += length;
        records.bytes -= length;
    }
    return NULL;
}

/* --- Entries -------------------------------------------------------------------------------- */

static bool has_contents(char type)
{
    switch (type) {
    case TYPE_HARD_LINK: /* whatever its size says, as everybody reads it */
    case TYPE_SYMLINK:
    case TYPE_CHARACTER_DEVICE:
    case TYPE_BLOCK_DEVICE:
    case TYPE_FOLDER:
    case TYPE_FIFO:
        return false;
    default:
        return true;
    }
}

static int add_entry(struct archive_reader *reader, const struct header *header,
                     const struct extension *extension, struct archive_entry *entry)
{
    struct archive_text link =
        extension->link.bytes ? extension->link : field(header->link, sizeof(header->link));
    uint32_t node;

    switch (header->type) {
    case TYPE_OLD_FILE:
        if (entry->path.bytes && entry->path.text[entry->path.bytes - 1] == '/')
            entry->kind = ARCHIVE_FOLDER; /* v7 has no other mark */
        break;
    case TYPE_FILE:
    case TYPE_CONTIGUOUS_FILE:
        break;
    case TYPE_FOLDER:
        entry->kind = ARCHIVE_FOLDER;
        break;
    case TYPE_SYMLINK:
        if (!link.bytes || link.bytes > ARCHIVE_PATH_MAX)
            return archive_refuse(reader, entry->path,
                                  "a symbolic link's target has no length "
                                  "from 1 to 4095");
        entry->kind = ARCHIVE_SYMLINK;
        entry->data = link.text;
        entry->bytes = link.bytes;
        break;
    case TYPE_HARD_LINK:
        node = archive_find(reader->archive, link);
        if (node == ARCHIVE_NONE || archive_inode(reader->archive, node)->kind == ARCHIVE_FOLDER)
            return archive_refuse(reader, entry->path, "it is a hard link to no file before it");
        entry->inode = reader->archive->nodes[node].inode;
        entry->kind = archive_inode(reader->archive, node)->kind;
        break;
    case TYPE_CHARACTER_DEVICE:
    case TYPE_BLOCK_DEVICE:
    case TYPE_FIFO:
        reader->archive->left_out++;
        return 0;
    case TYPE_GNU_SPARSE:
        return archive_refuse(reader, entry->path,
                              "it is a sparse file: make the archive without --sparse");
    case TYPE_GNU_CONTINUED:
        return archive_refuse(reader, entry->path,
                              "it goes on from another volume: use one archive");
    default:
        return archive_refuse(reader, entry->path, "it has an unknown type");
    }
    if (!entry->folder.bytes && !entry->path.bytes)
        return archive_refuse(reader, entry->path, "it has no name");
    return archive_add(reader, entry, &node);
}

/* An extension or an entry with its contents at `data`. */
static int read_member(struct archive_reader *reader, const struct header *header,
                       struct archive_entry *entry, const char *data, struct extension *extension)
{
    struct archive_text contents = {data, entry->bytes};
    const char *problem;

    switch (header->type) {
    case TYPE_PAX:
    case TYPE_PAX_SUN:
        problem = read_records(contents, extension);
        return problem ? archive_refuse(reader, entry->path, problem) : 0;
    case TYPE_GNU_LONG_NAME:
        extension->path = field(contents.text, contents.bytes);
        return 0;
    case TYPE_GNU_LONG_LINK:
        extension->link = field(contents.text, contents.bytes);
        return 0;
    case TYPE_PAX_GLOBAL: /* says nothing of single files that anybody makes use of */
    case TYPE_GNU_LABEL:
        return 0;
    default:
        entry->data = data;
        int error = add_entry(reader, header, extension, entry);
        *extension = (struct extension){0};
        return error;
    }
}

/* One header with its contents; moves behind both. */
static int read_one(struct archive_reader *reader, const struct header *header,
                    struct extension *extension)
{
    static const char ustar[] = "ustar"; /* with its NUL: POSIX; with a blank instead: GNU */
    bool is_extension =
        header->type && strchr("xXgLKV", header->type) != NULL; /* their names are nobody's */
    struct archive_entry entry = {
        .path = field(header->name, sizeof(header->name)),
        .kind = ARCHIVE_FILE,
        .inode = ARCHIVE_NONE,
    };
    uint64_t mode, mtime;

    if (!checksum_is_good(header))
        return archive_refuse(reader, (struct archive_text){NULL, 0},
                              reader->at ? "a header's checksum is wrong"
                                         : "it is neither a tar nor a cpio archive (newc)");
    if (!is_extension && extension->path.bytes)
        entry.path = extension->path;
    else if (memcmp(header->magic, ustar, sizeof(ustar)) == 0)
        entry.folder = field(header->prefix, sizeof(header->prefix));
    if (!read_number(header->size, sizeof(header->size), &entry.bytes))
        return archive_refuse(reader, entry.path, "its size is no number");
    if (!read_number(header->mode, sizeof(header->mode), &mode))
        return archive_refuse(reader, entry.path, "its mode is no number");
    if (!read_number(header->mtime, sizeof(header->mtime), &mtime))
        mtime = 0; /* before 1970, as GNU writes it */
    entry.mode = (uint32_t)mode;
    entry.mtime_s = (int64_t)mtime;
    if (!is_extension && extension->has_size)
        entry.bytes = extension->size;
    if (!is_extension && extension->has_mtime)
        entry.mtime_s = extension->mtime_s;
    if (!has_contents(header->type))
        entry.bytes = 0;
    size_t left = reader->bytes - reader->at - BLOCK_BYTES;
    if (entry.bytes > left)
        return archive_refuse(reader, entry.path, "it is larger than what is left of the archive");
    size_t padded = (entry.bytes + BLOCK_BYTES - 1) & -(size_t)BLOCK_BYTES;
    int error = read_member(reader, header, &entry, (const char *)(header + 1), extension);
    reader->at += BLOCK_BYTES + (padded < left ? padded : left);
    return error;
}

int tar_read(struct archive_reader *reader)
{
    struct extension extension = {0};

    while (reader->at < reader->bytes) {
        const struct header *header = (const void *)(reader->data + reader->at);

        if (reader->bytes - reader->at < BLOCK_BYTES)
            return archive_refuse(reader, (struct archive_text){NULL, 0},
                                  reader->at ? "it ends within a header"
                                             : "it is neither a tar nor a cpio archive (newc)");
        if (is_zero(header)) /* the end; what follows is padding */
            return 0;
        int error = read_one(reader, header, &extension);
        if (error)
            return error;
    }
    return 0; /* the end's mark is often cut off, and not missed */
}
