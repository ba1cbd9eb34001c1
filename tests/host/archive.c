/*
 * kernel/archive.h on the host, for tests/host/archive.py; built with the sanitizers.
 *
 * archive FILE          lists the tree, a line for each name:
 *                       KIND MODE MTIME LINKS BYTES SUM PATH[ -> TARGET]; refused: status 1 and why
 * archive FILE SEED N   N times, changes a few bytes or cuts the archive, and reads it
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/archive.h"

#define MEMORY_LIMIT (64ul << 20)

static void *resize(void *old, size_t old_bytes, size_t new_bytes)
{
    (void)old_bytes;
    if (new_bytes > MEMORY_LIMIT)
        return NULL;
    if (!new_bytes) {
        free(old);
        return NULL;
    }
    return realloc(old, new_bytes);
}

static unsigned long checksum(const void *data, size_t bytes)
{
    unsigned long sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + ((const unsigned char *)data)[i];
    return sum;
}

static void show_path(const struct archive *archive, uint32_t node)
{
    const struct archive_node *n = &archive->nodes[node];

    if (node == ARCHIVE_ROOT)
        return;
    show_path(archive, n->parent);
    printf("/%.*s", n->name_bytes, n->name);
}

/* Every name below a folder, depth first without recursion; each must be found by its name. */
static unsigned long walk(const struct archive *archive, bool show)
{
    uint32_t node = archive->nodes[ARCHIVE_ROOT].first_child, steps = 0;
    unsigned long sum = 0;

    while (node != ARCHIVE_NONE) {
        const struct archive_node *n = &archive->nodes[node], *inode = archive_inode(archive, node);
        bool is_folder = inode->kind == ARCHIVE_FOLDER;

        if (++steps > archive->count ||
            archive_child(archive, n->parent, n->name, n->name_bytes) != node)
            abort();
        if (!is_folder)
            sum += checksum(inode->data, inode->bytes);
        if (show) {
            printf("%c %04o %ld %u %lu %lu ", "fdl"[inode->kind], inode -> mode, inode -> mtime_s,
                   inode -> links, is_folder ? 0 : inode -> bytes,
                   is_folder ? 0 : checksum(inode->data, inode->bytes));
            show_path(archive, node);
            if (inode->kind == ARCHIVE_SYMLINK)
                printf(" -> %.*s", (int)inode->bytes, (const char *)inode->data);
            printf("\n");
        }
        if (is_folder && n->first_child != ARCHIVE_NONE) {
            node = n->first_child;
            continue;
        }
        while (n->next == ARCHIVE_NONE && n->parent != node) {
            node = n->parent;
            n = &archive->nodes[node];
        }
        node = n->next;
    }
    return sum;
}

static int read_and_walk(const char *data, size_t bytes, bool show)
{
    struct archive archive = {.resize = resize};
    struct archive_error error = {0};
    int result = archive_read(&archive, data, bytes, &error);

    if (result == 0) {
        walk(&archive, show);
        if (show && archive.left_out)
            printf("left out: %u\n", archive.left_out);
    } else if (show) {
        printf("refused: %.*s: %s (at %lu)\n", (int)error.name_bytes, error.name ? error.name : "",
               result == -EINVAL ? error.what : "memory", error.offset);
    } else if (result == -EINVAL) { /* all of it readable */
        checksum(error.name, error.name ? error.name_bytes : 0);
        checksum(error.what, strlen(error.what));
    }
    archive_free(&archive);
    return result != 0;
}

static unsigned long random_state;

static unsigned long next_random(unsigned long below)
{
    random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
    return (random_state >> 33) % below;
}

/* tar's checksums are made right again, so that the change gets past them. */
static void repair(char *data, size_t bytes)
{
    for (size_t at = 0; at + 512 <= bytes; at += 512) {
        unsigned sum = 0;
        char text[9];

        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        memset(data + at + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += (unsigned char)data[at + i];
        snprintf(text, sizeof(text), "%06o", sum);
        memcpy(data + at + 148, text, 7);
    }
}

static void fuzz(const char *original, size_t bytes, unsigned long rounds)
{
    for (unsigned long round = 0; round < rounds; round++) {
        size_t length = next_random(8) ? bytes : next_random(bytes) + 1;
        char *data = malloc(length); /* of this very size: the sanitizer sees a step too far */

        memcpy(data, original, length);
        for (unsigned long changes = next_random(6); changes > 0; changes--) {
            static const char likely[] = "\0\xff/.0179afAF \n=Lgx";
            size_t at =
                next_random(2) ? next_random(length) : next_random(length < 700 ? length : 700);

            data[at] =
                next_random(2) ? likely[next_random(sizeof(likely))] : (char)next_random(256);
        }
        if (next_random(4))
            repair(data, length);
        read_and_walk(data, length, false);
        free(data);
    }
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 || argc == 4 ? fopen(argv[1], "rb") : NULL;
    long bytes;

    if (!file || fseek(file, 0, SEEK_END) || (bytes = ftell(file)) < 0)
        return 2;
    rewind(file);
    char *data = malloc(bytes ? (size_t)bytes : 1);
    if (fread(data, 1, (size_t)bytes, file) != (size_t)bytes)
        return 2;
    fclose(file);
    int status = 0;
    if (argc == 4) {
        random_state = strtoul(argv[2], NULL, 10);
        fuzz(data, (size_t)bytes, strtoul(argv[3], NULL, 10));
    } else {
        status = read_and_walk(data, (size_t)bytes, true);
    }
    free(data);
    return status;
}
