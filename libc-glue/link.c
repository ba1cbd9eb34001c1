/*
 * The program headers of the image, which begins with its ELF header (kernel/guest.lds).
 *
 * Ordinary calls from threads. Locks: none; nothing of it ever changes, so that callers need none.
 */
#include <link.h>

/* kernel/guest.lds. The first segment in memory is linked to begin here. */
extern const char image_start[];

int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *data)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image_start;
    const Elf64_Phdr *phdr = (const Elf64_Phdr *)(image_start + header->e_phoff);
    const Elf64_Phdr *first = phdr;
    struct dl_phdr_info info;

    while (first->p_type != PT_LOAD)
        first++;
    info = (struct dl_phdr_info){
        .dlpi_addr = (Elf64_Addr)image_start - first->p_vaddr,
        .dlpi_name = "",
        .dlpi_phdr = phdr,
        .dlpi_phnum = header->e_phnum,
    };

    return fn(&info, sizeof(info), data);
}
