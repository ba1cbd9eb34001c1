/* A guest's ELF file and its notes (pv/hypervisor/elf.c). */
#include "pv/hypervisor/elf.h"
#include "pv/hypervisor/guest_memory.h"
#include "pv/hypervisor/memory.h"
#include "tests/fuzz/host/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *file = malloc(bytes ? bytes : 1);
    /* machine_to_virtual() gives the block's address back. */
    uint64_t start = (uint64_t)file - HYPERVISOR_BASE;
    struct boot_range range = {start, start + bytes};
    struct elf_guest guest = {0};

    memcpy(file, data, bytes);
    if (boot_try()) {
        elf_read(&range, &guest);
        FUZZ_CHECK(guest.nr_segments > 0 && guest.nr_segments <= ELF_MAX_SEGMENTS);
        for (unsigned i = 0; i < guest.nr_segments; i++) {
            const struct elf_segment *segment = &guest.segments[i];

            FUZZ_CHECK((const uint8_t *)segment->bytes >= file &&
                       segment->file_bytes <=
                           bytes - (size_t)((const uint8_t *)segment->bytes - file));
            FUZZ_CHECK(guest.virtual_base <= segment->virtual_start &&
                       segment->virtual_end <= guest.virtual_end);
            FUZZ_CHECK(segment->virtual_end - segment->virtual_start >= segment->file_bytes);
            FUZZ_CHECK(guest_range_is_ok(segment->virtual_start,
                                         segment->virtual_end - segment->virtual_start));
        }
    }
    free(file);
    return 0;
}
