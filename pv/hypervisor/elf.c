/* See elf.h. System V ABI (gABI 4.1, ELF-64); xen/elfnote.h; Xen's common/libelf for the rules. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/elfnote.h>
#include <xen/features.h>
#include "pv/abi.h"
#include "pv/hypervisor/elf.h"
#include "pv/hypervisor/guest_memory.h"
#include "pv/hypervisor/memory.h"

#define UNSET (~0ul)

struct elf_header {
    uint8_t magic[4], class, data, version, abi[9];
    uint16_t type, machine;
    uint32_t version2;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_bytes, program_header_bytes, nr_program_headers;
    uint16_t section_header_bytes, nr_section_headers, string_section;
};

struct elf_program_header {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_bytes, memory_bytes, align;
};

struct elf_note {
    uint32_t name_bytes, desc_bytes, type;
    char name[];
};

enum { ELF_CLASS64 = 2, ELF_LITTLE_ENDIAN = 1, ELF_EXEC = 2, ELF_X86_64 = 62 };
enum { SEGMENT_LOAD = 1, SEGMENT_NOTE = 4 };
enum { SEGMENT_X = 1, SEGMENT_W = 2 };

/* What the notes say. */
struct notes {
    int has_xen_note;
    uint64_t virtual_base, physical_offset, entry, hypercall_page;
    const char *loader, *xen_version;
    uint32_t parvus_features;
};

static uint64_t note_number(const struct elf_note *note, const void *desc)
{
    uint64_t value = 0;

    if (note->desc_bytes != 4 && note->desc_bytes != 8)
        boot_fail("guest: Xen note %u: a number of %u bytes", note->type, note->desc_bytes);
    __builtin_memcpy(&value, desc, note->desc_bytes);
    return value;
}

static const char *note_text(const struct elf_note *note, const void *desc)
{
    const char *text = desc;

    if (note->desc_bytes == 0 || text[note->desc_bytes - 1] != 0)
        boot_fail("guest: Xen note %u: its text has no end", note->type);
    return text;
}

static int text_is(const char *text, const char *expected, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] != expected[i])
            return 0;
    return expected[bytes] == 0;
}

static size_t length(const char *text)
{
    size_t bytes = 0;

    while (text[bytes])
        bytes++;
    return bytes;
}

/* "a|!b": the guest cannot do without what has a "!". These are part of every 64-bit PV domain. */
static void check_required_features(const char *features)
{
    static const char *const known[] = {"writable_page_tables", "pae_pgdir_above_4gb",
                                        "mmu_pt_update_preserve_ad", "dom0"};

    while (*features) {
        size_t bytes = 0;
        int is_required = *features == '!', is_known = 0;

        features += is_required;
        while (features[bytes] && features[bytes] != '|')
            bytes++;
        for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            is_known |= text_is(features, known[i], bytes);
        if (is_required && !is_known)
            boot_fail("guest: it requires a feature that is not provided: %s", features);
        features += bytes + (features[bytes] == '|');
    }
}

static void read_xen_note(const struct elf_note *note, const void *desc, struct notes *notes)
{
    notes->has_xen_note = 1;
    switch (note->type) {
    case XEN_ELFNOTE_ENTRY:
        notes->entry = note_number(note, desc);
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        notes->hypercall_page = note_number(note, desc);
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        notes->virtual_base = note_number(note, desc);
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        notes->physical_offset = note_number(note, desc);
        break;
    case XEN_ELFNOTE_XEN_VERSION:
        notes->xen_version = note_text(note, desc);
        break;
    case XEN_ELFNOTE_LOADER:
        notes->loader = note_text(note, desc);
        break;
    case XEN_ELFNOTE_FEATURES:
        check_required_features(note_text(note, desc));
        break;
    case XEN_ELFNOTE_INIT_P2M:
        boot_fail("guest: a p2m list of its own place (XEN_ELFNOTE_INIT_P2M) is not supported");
    }
}

static uint64_t align4(uint64_t bytes)
{
    return (bytes + 3) & ~3ul;
}

static void read_notes(const char *at, uint64_t bytes, struct notes *notes)
{
    while (bytes >= sizeof(struct elf_note)) {
        const struct elf_note *note = (const void *)at;
        uint64_t desc_offset = sizeof(*note) + align4(note->name_bytes);
        uint64_t note_bytes = desc_offset + align4(note->desc_bytes);

        if (desc_offset + note->desc_bytes > bytes)
            boot_fail("guest: an ELF note reaches beyond its segment");
        if (note->name_bytes == 4 && text_is(note->name, "Xen", 3))
            read_xen_note(note, at + desc_offset, notes);
        else if (note->name_bytes == sizeof(PARVUS_NOTE_NAME) &&
                 text_is(note->name, PARVUS_NOTE_NAME, sizeof(PARVUS_NOTE_NAME) - 1) &&
                 note->type == PARVUS_NOTE_FEATURES)
            notes->parvus_features = (uint32_t)note_number(note, at + desc_offset);
        if (note_bytes >= bytes)
            break;
        at += note_bytes;
        bytes -= note_bytes;
    }
}

static void check_header(const struct elf_header *elf, uint64_t file_bytes)
{
    if (file_bytes < sizeof(*elf) || !text_is((const char *)elf->magic, "\177ELF", 4))
        boot_fail("guest: not an ELF file (%lu bytes)", file_bytes);
    if (elf->class != ELF_CLASS64)
        boot_fail("guest: not a 64-bit ELF file (class %u)", elf->class);
    if (elf->data != ELF_LITTLE_ENDIAN || elf->machine != ELF_X86_64)
        boot_fail("guest: not for x86-64 (ELF machine %u)", elf->machine);
    if (elf->type != ELF_EXEC)
        boot_fail("guest: not an executable (ELF type %u)", elf->type);
    if (elf->program_header_bytes != sizeof(struct elf_program_header))
        boot_fail("guest: ELF program headers of %u bytes", elf->program_header_bytes);
    if (elf->program_headers > file_bytes ||
        file_bytes - elf->program_headers <
            (uint64_t)elf->nr_program_headers * sizeof(struct elf_program_header))
        boot_fail("guest: truncated: its ELF program headers end beyond its %lu bytes", file_bytes);
}

static void add_segment(const struct elf_program_header *header, const char *bytes, uint64_t offset,
                        struct elf_guest *guest)
{
    uint64_t start = header->physical + offset, end = start + header->memory_bytes;

    if (guest->nr_segments == ELF_MAX_SEGMENTS)
        boot_fail("guest: more than %d ELF segments", ELF_MAX_SEGMENTS);
    if (header->file_bytes > header->memory_bytes)
        boot_fail("guest: ELF segment at %#lx: more bytes in the file than in memory", start);
    if (end < start || start < guest->virtual_base || !guest_range_is_ok(start, end - start) ||
        end - guest->virtual_base > 1ul << 40)
        boot_fail("guest: ELF segment %#lx-%#lx is out of range (virtual base %#lx)", start, end,
                  guest->virtual_base);
    for (unsigned int i = 0; i < guest->nr_segments; i++)
        if (start < guest->segments[i].virtual_end && guest->segments[i].virtual_start < end)
            boot_fail("guest: ELF segments %#lx-%#lx and %#lx-%#lx overlap",
                      guest->segments[i].virtual_start, guest->segments[i].virtual_end, start, end);
    guest->segments[guest->nr_segments++] = (struct elf_segment){bytes,
                                                                 header->file_bytes,
                                                                 start,
                                                                 end,
                                                                 (header->flags & SEGMENT_W) != 0,
                                                                 (header->flags & SEGMENT_X) != 0};
    if (end > guest->virtual_end)
        guest->virtual_end = end;
}

static void check_notes(const struct notes *notes)
{
    if (!notes->has_xen_note)
        boot_fail("guest: it has no Xen ELF notes, so it is no Xen PV guest");
    if (notes->xen_version && !text_is(notes->xen_version, "xen-3.0", length(notes->xen_version)))
        boot_fail("guest: made for another interface version: %s", notes->xen_version);
    if (notes->loader && !text_is(notes->loader, "generic", length(notes->loader)))
        boot_fail("guest: made for another loader: %s", notes->loader);
    if (notes->physical_offset != UNSET && notes->virtual_base == UNSET)
        boot_fail("guest: Xen note PADDR_OFFSET without VIRT_BASE");
}

static int is_executable(const struct elf_guest *guest, uint64_t addr, uint64_t bytes)
{
    for (unsigned int i = 0; i < guest->nr_segments; i++) {
        const struct elf_segment *segment = &guest->segments[i];

        if (segment->is_executable && addr >= segment->virtual_start &&
            addr < segment->virtual_end && segment->virtual_end - addr >= bytes)
            return 1;
    }
    return 0;
}

void elf_read(const struct boot_range *file, struct elf_guest *guest)
{
    const char *bytes = machine_to_virtual(file->start);
    uint64_t file_bytes = file->end - file->start;
    const struct elf_header *elf = (const void *)bytes;
    struct notes notes = {
        .virtual_base = UNSET, .physical_offset = UNSET, .entry = UNSET, .hypercall_page = UNSET};

    check_header(elf, file_bytes);

    const struct elf_program_header *headers = (const void *)(bytes + elf->program_headers);

    for (unsigned int i = 0; i < elf->nr_program_headers; i++) {
        const struct elf_program_header *header = &headers[i];

        if (header->type != SEGMENT_LOAD && header->type != SEGMENT_NOTE)
            continue;
        if (header->offset > file_bytes || file_bytes - header->offset < header->file_bytes)
            boot_fail("guest: truncated: ELF segment %u ends beyond its %lu bytes", i, file_bytes);
        if (header->type == SEGMENT_NOTE)
            read_notes(bytes + header->offset, header->file_bytes, &notes);
    }
    check_notes(&notes);

    guest->virtual_base = notes.virtual_base == UNSET ? 0 : notes.virtual_base;

    uint64_t offset =
        guest->virtual_base - (notes.physical_offset == UNSET ? 0 : notes.physical_offset);

    for (unsigned int i = 0; i < elf->nr_program_headers; i++)
        if (headers[i].type == SEGMENT_LOAD && headers[i].memory_bytes)
            add_segment(&headers[i], bytes + headers[i].offset, offset, guest);
    if (guest->nr_segments == 0)
        boot_fail("guest: its ELF file has nothing to load");
    if (guest->virtual_base % PAGE_BYTES)
        boot_fail("guest: virtual base %#lx is not page-aligned", guest->virtual_base);

    guest->entry = notes.entry == UNSET ? elf->entry : notes.entry;
    if (!is_executable(guest, guest->entry, 1))
        boot_fail("guest: its entry %#lx is in no executable segment", guest->entry);
    guest->hypercall_page = notes.hypercall_page;
    if (guest->hypercall_page != UNSET &&
        (guest->hypercall_page % PAGE_BYTES ||
         !is_executable(guest, guest->hypercall_page, PAGE_BYTES)))
        boot_fail("guest: its hypercall page %#lx is in no executable segment",
                  guest->hypercall_page);
    guest->features = notes.parvus_features;
}
