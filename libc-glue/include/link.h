/*
 * The program's parts in memory, as other systems tell them: here it is one, and stays so.
 * Unwinders find their tables by it.
 */
#ifndef _LINK_H
#define _LINK_H

#include <elf.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ElfW(type) Elf64_##type

struct dl_phdr_info {
    Elf64_Addr dlpi_addr;  /* what to add to p_vaddr */
    const char *dlpi_name; /* "" */
    const Elf64_Phdr *dlpi_phdr;
    Elf64_Half dlpi_phnum;
};

/* Calls the function once; its result. */
int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *info, size_t bytes, void *data), void *data);

#ifdef __cplusplus
}
#endif

#endif
