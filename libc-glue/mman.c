/*
 * Memory in pages for programs: the kernel's regions (kernel/vm.h) by their POSIX names.
 *
 * Ordinary calls from threads. What cannot be is said in <sys/mman.h>.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/vm.h"
#include "libc-glue/fd.h"
#include "libc-glue/fs.h"
#include "libc-glue/glue.h"
#include "libc-glue/shared_mapping.h"

#define NAME "mmap"

static bool is_aligned(const void *address)
{
    return (uintptr_t)address % PAGE_SIZE == 0;
}

/* Whole pages; 0: too much. */
static size_t page_bytes(size_t bytes)
{
    return (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
}

static int vm_prot(int protection)
{
    return ((protection & PROT_READ) != 0 ? VM_READ : 0) |
           ((protection & PROT_WRITE) != 0 ? VM_WRITE : 0) |
           ((protection & PROT_EXEC) != 0 ? VM_EXEC : 0);
}

/* Memory where *address says (MAP_FIXED...) or anywhere. */
static int map(void **address, size_t bytes, int prot, int flags)
{
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0)
        return vm_map(address, bytes, prot, NAME);
    int error = is_aligned(*address) ? 0 : -EINVAL;
    if (error == 0 && (flags & MAP_FIXED) != 0)
        error = shared_mapping_unmap(*address, bytes);
    return error != 0 ? error : vm_map(address, bytes, prot | VM_FIXED, NAME);
}

/* --- Files ------------------------------------------------------------------------------------ */

static int check_file(const struct file *file, int protection, int flags)
{
    const bool is_shared = (flags & MAP_SHARED) != 0;

    if (file->ops->read == NULL || !file->ops->seekable || file->node.fs == NULL ||
        fs_is_folder(file->node))
        return -ENODEV;
    if (!file_is_readable(file) ||
        (is_shared && (protection & PROT_WRITE) != 0 && !file_is_writable(file)))
        return -EACCES;
    return (protection & PROT_WRITE) != 0 && (protection & PROT_EXEC) != 0 ? -EACCES : 0;
}

/* What cannot change may be a copy. */
static bool is_constant(const struct file *file)
{
    return file->node.fs->change == NULL && file->node.fs->type(file->node.id) == S_IFREG;
}

static int map_shared(struct file *file, void **address, size_t bytes, int protection, int flags,
                      off_t offset)
{
    int prot = vm_prot(protection);

    if (file->ops->hold_pages == NULL)
        return -ENODEV;
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
        if (!is_aligned(*address))
            return -EINVAL;
        prot |= VM_FIXED;
    }
    return shared_mapping_make(file, address, bytes, prot, (flags & MAP_FIXED) != 0, offset, NAME);
}

/* What the file does not have stays zero. */
static int read_file(struct file *file, char *memory, size_t bytes, off_t position)
{
    while (bytes > 0) {
        struct iovec to = {memory, bytes};
        ssize_t got = file->ops->read(file, &to, 1, &position);

        if (got <= 0)
            return (int)got;
        memory += got;
        bytes -= (size_t)got;
    }
    return 0;
}

static int map_copy(struct file *file, void **address, size_t bytes, int protection, int flags,
                    off_t offset)
{
    int error = map(address, page_bytes(bytes), VM_READ | VM_WRITE, flags);

    if (error != 0)
        return error;
    error = read_file(file, *address, bytes, offset);
    if (error == 0 && protection != (PROT_READ | PROT_WRITE))
        error = vm_protect(*address, page_bytes(bytes), vm_prot(protection));
    if (error != 0)
        vm_unmap(*address, page_bytes(bytes));
    return error;
}

static int map_file(struct file *file, void **address, size_t bytes, int protection, int flags,
                    off_t offset)
{
    int error = check_file(file, protection, flags);

    if (error != 0)
        return error;
    if ((flags & MAP_SHARED) != 0 && !is_constant(file))
        return map_shared(file, address, page_bytes(bytes), protection, flags, offset);
    return map_copy(file, address, bytes, protection, flags, offset);
}

/* --- System calls ----------------------------------------------------------------------------- */

static int map_any(void **address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    bool is_shared = (flags & MAP_SHARED) != 0, is_private = (flags & MAP_PRIVATE) != 0;
    struct file *file;

    if (bytes == 0 || is_shared == is_private || offset < 0 || offset % (off_t)PAGE_SIZE != 0 ||
        (protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        return -EINVAL;
    if (page_bytes(bytes) == 0)
        return -ENOMEM;
    if ((flags & MAP_ANONYMOUS) != 0)
        return map(address, page_bytes(bytes), vm_prot(protection), flags);
    int error = fd_get(fd, &file);
    if (error == 0) {
        error = map_file(file, address, bytes, protection, flags, offset);
        file_put(file);
    }
    return error;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    int error = map_any(&address, bytes, protection, flags, fd, offset);

    glue_result(error);
    return error == 0 ? address : MAP_FAILED;
}

int munmap(void *address, size_t bytes)
{
    if (bytes == 0 || page_bytes(bytes) == 0)
        return (int)glue_result(-EINVAL);
    return (int)glue_result(shared_mapping_unmap(address, page_bytes(bytes)));
}

int mprotect(void *address, size_t bytes, int protection)
{
    if (!is_aligned(address) || (protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0)
        return (int)glue_result(-EINVAL);
    if (bytes == 0)
        return 0;
    if (page_bytes(bytes) == 0)
        return (int)glue_result(-ENOMEM);
    return (int)glue_result(
        shared_mapping_protect(address, page_bytes(bytes), vm_prot(protection)));
}

/* Whether all of it is mapped: 0, -EINVAL, -ENOMEM. *out_prot: what all of it allows. */
static int check_range(const void *address, size_t bytes, int *out_prot)
{
    uintptr_t at = (uintptr_t)address, end = at + page_bytes(bytes);

    *out_prot = VM_READ | VM_WRITE | VM_EXEC;
    if (!is_aligned(address))
        return -EINVAL;
    if (end < at)
        return -ENOMEM;
    while (at < end) {
        struct vm_info info;

        vm_query(at, &info);
        if (info.name == NULL || info.is_guard)
            return -ENOMEM;
        *out_prot &= info.prot;
        at = info.end;
    }
    return 0;
}

/* Nothing is written back: a mapping is the file, or a copy. */
int msync(void *address, size_t bytes, int flags)
{
    int prot;

    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 ||
        (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return (int)glue_result(-EINVAL);
    return (int)glue_result(check_range(address, bytes, &prot));
}

/* What is no file's: MADV_DONTNEED leaves a file as it is, mapped or not. */
static void clear(uintptr_t at, uintptr_t end)
{
    while (at < end) {
        struct vm_info info;

        vm_query(at, &info);
        uintptr_t part_end = info.end < end ? info.end : end;
        if (!info.is_again)
            memset((void *)at, 0, part_end - at);
        at = part_end;
    }
}

/* MADV_DONTNEED promises zeroes. The rest is advice, of which nothing follows. */
static int advise(void *address, size_t bytes, int advice)
{
    int prot;
    int error = check_range(address, bytes, &prot);

    if (error != 0)
        return error;
    switch (advice) {
    case MADV_DONTNEED:
        if ((prot & VM_WRITE) == 0)
            return -EINVAL;
        clear((uintptr_t)address, (uintptr_t)address + page_bytes(bytes));
        return 0;
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_FREE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
        return 0;
    default:
        return -EINVAL;
    }
}

int madvise(void *address, size_t bytes, int advice)
{
    return (int)glue_result(advise(address, bytes, advice));
}

/* Returns an error number, and never changes what is there (POSIX). */
int posix_madvise(void *address, size_t bytes, int advice)
{
    return -advise(address, bytes, advice == POSIX_MADV_DONTNEED ? MADV_NORMAL : advice);
}

/* Memory never leaves: it is locked as it is. */
int mlock(const void *address, size_t bytes)
{
    int prot;
    const char *start = (const char *)((uintptr_t)address & -PAGE_SIZE);

    return (int)glue_result(
        check_range(start, bytes + (size_t)((const char *)address - start), &prot));
}

int munlock(const void *address, size_t bytes)
{
    return mlock(address, bytes);
}

int mlockall(int flags)
{
    return (int)glue_result((flags & ~(MCL_CURRENT | MCL_FUTURE)) != 0 || flags == 0 ? -EINVAL : 0);
}

int munlockall(void)
{
    return 0;
}
