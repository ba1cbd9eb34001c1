/*
 * Mappings of files that are the file itself (MAP_SHARED): the file's memory, mapped once more.
 *
 * Callers: mman.c, from threads. 0 or a negative errno.
 */
#ifndef LIBC_GLUE_SHARED_MAPPING_H
#define LIBC_GLUE_SHARED_MAPPING_H

#include "libc-glue/file.h"

/* Maps pages of the file, whose ops can hold_pages, where prot (with VM_FIXED) says; `replaces`:
 * what is there goes first. As vm_map_again. */
int shared_mapping_make(struct file *file, void **address, size_t bytes, int prot, bool replaces,
                        off_t offset, const char *name);
/* vm_unmap and vm_protect for any mapped memory. -EACCES: the file was not opened for writing. */
int shared_mapping_unmap(void *address, size_t bytes);
int shared_mapping_protect(void *address, size_t bytes, int prot);

#endif
