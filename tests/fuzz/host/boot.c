/* What the loaders of the three protocols hand over (boot/), in memory that they filled as they
 * like. */
#include "boot/boot.h"
#include "tests/fuzz/host/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint32_t magics[] = {BOOT_MAGIC_MULTIBOOT1, BOOT_MAGIC_MULTIBOOT2, BOOT_MAGIC_PVH};
    struct boot_info info = {0};

    if (bytes < 1)
        return 0;
    boot_memory(data + 1, bytes - 1, data[0] & 0x80 ? 'x' : 0);
    if (boot_try()) {
        boot_read(magics[data[0] % 128 % 3], BOOT_MEMORY_START, &info);
        FUZZ_CHECK(info.nr_ram > 0 && info.nr_ram <= BOOT_MAX_MEMORY_RANGES);
        FUZZ_CHECK(info.nr_modules <= BOOT_MAX_MODULES);
        FUZZ_CHECK(memchr(info.command_line, 0, sizeof(info.command_line)));
        FUZZ_CHECK(info.rsdp_bytes <= BOOT_MAX_RSDP_BYTES);
        for (unsigned i = 0; i < info.nr_modules; i++) {
            const struct boot_module *module = &info.modules[i];

            FUZZ_CHECK(module->bytes.start <= module->bytes.end);
            FUZZ_CHECK(memchr(module->command_line, 0, sizeof(module->command_line)));
        }
        for (unsigned i = 0; i < info.nr_ram; i++) {
            FUZZ_CHECK(info.ram[i].start < info.ram[i].end);
            FUZZ_CHECK((info.ram[i].start | info.ram[i].end) % 4096 == 0);
            for (unsigned j = 0; j < i; j++)
                FUZZ_CHECK(info.ram[j].end <= info.ram[i].start ||
                           info.ram[i].end <= info.ram[j].start);
        }
    }
    boot_memory_free();
    return 0;
}
