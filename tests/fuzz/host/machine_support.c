/* What the kernel offers its drivers: memory (identity: a machine address is a pointer), time,
 * events. */
#include "tests/fuzz/host/machine.h"

#include <errno.h>

#include "kernel/clock.h"
#include "kernel/dma.h"
#include "kernel/page.h"
#include "kernel/vm.h"
#include "tests/fuzz/host/fuzz.h"

#define MAX_REGIONS 256
#define MAX_BYTES (1u << 24) /* of one */

uint8_t pv_shared_page[PAGE_SIZE];
struct fuzz_input *machine_device_memory;

static struct {
    void *start;
    size_t bytes;
} regions[MAX_REGIONS];

static int map(void **out, size_t bytes)
{
    for (unsigned i = 0; i < MAX_REGIONS && bytes <= MAX_BYTES; i++) {
        if (regions[i].start)
            continue;
        *out = regions[i].start = aligned_alloc(PAGE_SIZE, bytes);
        regions[i].bytes = bytes;
        memset(*out, 0, bytes);
        return 0;
    }
    return -ENOMEM;
}

void machine_free(void)
{
    for (unsigned i = 0; i < MAX_REGIONS; i++) {
        free(regions[i].start);
        regions[i].start = NULL;
    }
}

int vm_map(void **addr, size_t bytes, int prot, const char *name)
{
    (void)prot, (void)name;
    FUZZ_CHECK(bytes && bytes % PAGE_SIZE == 0);
    return map(addr, bytes);
}

/* A device's memory: the input, zeroes behind it; the pages around it are there, too. */
int vm_map_device(maddr_t start, size_t bytes, const char *name, volatile void **out)
{
    size_t before = start.n % PAGE_SIZE;
    void *memory;

    (void)name;
    if (!bytes || start.n + bytes < start.n)
        return -EINVAL;
    int error = map(&memory, (before + bytes + PAGE_SIZE - 1) & -PAGE_SIZE);
    if (error)
        return error;
    if (machine_device_memory)
        fuzz_take(machine_device_memory, (char *)memory + before, bytes < 128 ? bytes : 128);
    *out = (char *)memory + before;
    return 0;
}

/* Whole regions, as the drivers do. */
int vm_unmap(void *addr, size_t bytes)
{
    for (unsigned i = 0; i < MAX_REGIONS; i++) {
        if (regions[i].start != addr)
            continue;
        FUZZ_CHECK(regions[i].bytes == bytes);
        free(addr);
        regions[i].start = NULL;
        return 0;
    }
    FUZZ_CHECK(!"unmapping what is not mapped");
    return -EINVAL;
}

maddr_t dma_address(const volatile void *p)
{
    return (maddr_t){(uintptr_t)p};
}

void page_counts(struct page_counts *out)
{
    *out = (struct page_counts){.total_pages = 4096, .free_pages = 256};
}

uint64_t clock_monotonic_ns(void)
{
    static uint64_t now_ns;

    return now_ns += 1000;
}

uint64_t clock_wall_ns(void)
{
    return 1700000000 * NS_PER_SECOND;
}

void pv_event_replay(void) {}
