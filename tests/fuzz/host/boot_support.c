/* See fuzz.h: what the hypervisor offers its boot code. */
#include <stdarg.h>

#include "boot/boot.h"
#include "tests/fuzz/host/fuzz.h"

#define LIMIT (4ul << 30)
#define MOST_BYTES (1ul << 16) /* of one copy: nothing longer is read in earnest */
#define MAX_COPIES 4096

jmp_buf boot_refused;

static const uint8_t *memory;
static size_t memory_bytes;
static uint8_t memory_fill;
static void *copies[MAX_COPIES];
static unsigned nr_copies;

void boot_memory(const uint8_t *data, size_t bytes, uint8_t fill)
{
    memory = data;
    memory_bytes = bytes;
    memory_fill = fill;
}

void boot_memory_free(void)
{
    while (nr_copies)
        free(copies[--nr_copies]);
}

const void *boot_map(uint64_t addr, uint64_t bytes)
{
    uint64_t from = addr > BOOT_MEMORY_START ? addr : BOOT_MEMORY_START;
    uint64_t end = BOOT_MEMORY_START + memory_bytes;

    if (addr + bytes < addr || addr + bytes > LIMIT || bytes > MOST_BYTES ||
        nr_copies == MAX_COPIES)
        boot_fail("boot information at %#lx (%lu bytes)", addr, bytes);
    if (end > addr + bytes)
        end = addr + bytes;

    uint8_t *copy = malloc(bytes ? bytes : 1);

    copies[nr_copies++] = copy;
    memset(copy, memory_fill, bytes);
    if (from < end)
        memcpy(copy + (from - addr), memory + (from - BOOT_MEMORY_START), end - from);
    return copy;
}

/* Writes the message, so that all that it names is read. */
void boot_fail(const char *format, ...)
{
    char text[8192];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    longjmp(boot_refused, 1);
}
