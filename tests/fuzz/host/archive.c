/* The initrd (kernel/archive.h): tar and cpio. */
#include <errno.h>

#include "kernel/archive.h"
#include "tests/fuzz/host/fuzz.h"

#define MEMORY_LIMIT (16ul << 20)

static void *resize(void *old, size_t old_bytes, size_t new_bytes)
{
    (void)old_bytes;
    if (new_bytes > MEMORY_LIMIT)
        return NULL;
    if (new_bytes)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static unsigned sum;

static void read_all(const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)data)[i];
}

/* Each name is found where it is, in folders that end somewhere (at the root, but for what cpio.c
 * notes of hard links), and all of its file is there. */
static void check(const struct archive *archive)
{
    for (uint32_t i = 0; i < archive->count; i++) {
        const struct archive_node *node = &archive->nodes[i];
        const struct archive_node *inode = archive_inode(archive, i);
        uint32_t up = i, steps = 0;

        if (inode->kind != ARCHIVE_FOLDER)
            read_all(inode->data, inode->bytes);
        if (!node->name)
            continue;
        FUZZ_CHECK(archive_child(archive, node->parent, node->name, node->name_bytes) == i);
        for (; archive->nodes[up].parent != up; up = archive->nodes[up].parent)
            FUZZ_CHECK(steps++ < archive->count);
        if (up != ARCHIVE_ROOT)
            continue;
        FUZZ_CHECK(node->name_bytes > 0 && !memchr(node->name, '/', node->name_bytes));
        FUZZ_CHECK(inode->links > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct archive archive = {.resize = resize};
    struct archive_error error = {0};
    /* tar wants right checksums: the first byte says whether they are made so. */
    int repair = bytes > 0 && data[0] & 1;
    size_t length = bytes > 0 ? bytes - 1 : 0;
    uint8_t *file = malloc(length ? length : 1);

    memcpy(file, data + (bytes > 0), length);
    for (size_t at = 0; repair && at + 512 <= length; at += 512) {
        unsigned total = 0;
        char text[9];

        memset(file + at + 148, ' ', 8);
        for (unsigned i = 0; i < 512; i++)
            total += file[at + i];
        if (total != 8 * ' ')
            memcpy(file + at + 148, text, (size_t)snprintf(text, sizeof(text), "%06o", total) + 1);
    }

    int result = archive_read(&archive, file, length, &error);

    FUZZ_CHECK(result == 0 || result == -EINVAL || result == -ENOMEM);
    if (result == 0)
        check(&archive);
    if (result == -EINVAL) {
        read_all(error.what, strlen(error.what));
        read_all(error.name, error.name ? error.name_bytes : 0);
    }
    archive_free(&archive);
    free(file);
    return 0;
}
