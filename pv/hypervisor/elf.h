/*
 * A guest's ELF file and its Xen notes. Everything in it is input: boot_fail() names what is wrong.
 * Called once at boot, ring 0.
 */
#ifndef HYPERVISOR_ELF_H
#define HYPERVISOR_ELF_H

#include <stdint.h>
#include "boot/boot.h"

#define ELF_MAX_SEGMENTS 16

struct elf_segment {
    const void *bytes;
    uint64_t file_bytes;
    uint64_t virtual_start, virtual_end; /* in guest-virtual memory, from p_paddr as Xen does */
    int is_writable, is_executable;
};

struct elf_guest {
    unsigned int nr_segments;
    struct elf_segment segments[ELF_MAX_SEGMENTS];
    uint64_t virtual_base; /* where pfn 0 goes: XEN_ELFNOTE_VIRT_BASE */
    uint64_t virtual_end;  /* of the last segment */
    uint64_t entry;
    uint64_t hypercall_page; /* guest-virtual; ~0: none */
    uint32_t features;       /* PARVUS_FEATURE_* asked for */
};

void elf_read(const struct boot_range *file, struct elf_guest *guest);

#endif
