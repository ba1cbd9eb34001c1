/*
 * The initrd: found in pv_boot, read by archive.c.
 *
 * Callers: libc-glue, from threads. Ring 3. Lock: `lock` protects `state` and the reading; the tree
 * is read-only once it is published.
 */
#include "kernel/initrd.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/sync.h"
#include "kernel/vm.h"

#define SHOWN_NAME_BYTES 100

static struct mutex lock = MUTEX_INIT;
static struct archive initrd;
static struct archive_node empty_root = {
    .first_child = ARCHIVE_NONE,
    .last_child = ARCHIVE_NONE,
    .next = ARCHIVE_NONE,
    .links = 2,
    .mode = 0755,
    .kind = ARCHIVE_FOLDER,
};
static const struct archive empty = {.nodes = &empty_root, .count = 1};
static _Atomic(const struct archive *) published;

static size_t whole_pages(size_t bytes)
{
    return (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
}

static void *resize(void *old, size_t old_bytes, size_t new_bytes)
{
    void *block = NULL;

    if (new_bytes && vm_map(&block, whole_pages(new_bytes), VM_READ | VM_WRITE, "initrd index"))
        return NULL;
    if (old) {
        if (block)
            memcpy(block, old, old_bytes < new_bytes ? old_bytes : new_bytes);
        vm_unmap(old, whole_pages(old_bytes));
    }
    return block;
}

/* Names are input: what is not plain text could steer the terminal. */
static void copy_name(char out[SHOWN_NAME_BYTES], const struct archive_error *error)
{
    size_t i = 0;

    for (; error->name && i < error->name_bytes && i < SHOWN_NAME_BYTES - 1; i++)
        out[i] = error->name[i] >= ' ' && error->name[i] < 0x7f ? error->name[i] : '?';
    out[i] = 0;
}

static const struct archive *read_initrd(void)
{
    struct archive_error error = {0};
    char name[SHOWN_NAME_BYTES];

    if (!pv_boot.initrd)
        return &empty;
    initrd.resize = resize;
    int result = archive_read(&initrd, pv_boot.initrd, pv_boot.initrd_bytes, &error);
    if (result == -EINVAL) {
        copy_name(name, &error);
        log_error("initrd: %s%s%s%s (at byte %lu of %lu); no file of it is there",
                  name[0] ? "entry \"" : "", name, name[0] ? "\": " : "", error.what, error.offset,
                  pv_boot.initrd_bytes);
    } else if (result) {
        log_error("initrd: no memory for an index of its files: try a larger --mem");
    }
    if (result)
        return &empty;
    if (initrd.left_out)
        log_warn("initrd: %u devices, FIFOs or sockets are left out", initrd.left_out);
    log_debug("initrd: %lu bytes, %u entries", pv_boot.initrd_bytes, initrd.count);
    return &initrd;
}

const struct archive *initrd_archive(void)
{
    const struct archive *archive = atomic_load(&published);

    if (archive)
        return archive;
    mutex_lock(&lock);
    archive = atomic_load(&published);
    if (!archive) {
        archive = read_initrd();
        atomic_store(&published, archive); /* pairs with the load above: the tree is complete */
    }
    mutex_unlock(&lock);
    return archive;
}
