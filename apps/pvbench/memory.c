/*
 * Memory as the kernel and the C library hand it out: what page-table updates cost with everything
 * around them (regions, frames, zeroing).
 *
 * Ring 3. Locks: none held; vm_map and vm_unmap take vm_lock.
 */
#include "apps/pvbench/pvbench.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/pvbench/bench.h"
#include "kernel/vm.h"

#define PAIRS 256
#define MANY_PAGES 512
#define BLOCK_BYTES 64

static void map_unmap(unsigned pages, const char *contents, int prot)
{
    char map_name[40], unmap_name[40];
    struct bench map = {.figure = map_name, .n = 1}, unmap = {.figure = unmap_name, .n = 1};
    size_t bytes = pages * PAGE_SIZE;
    void *area;

    snprintf(map_name, sizeof(map_name), "vm.map.%s.%u", contents, pages);
    snprintf(unmap_name, sizeof(unmap_name), "vm.unmap.%s.%u", contents, pages);
    while (bench_wants(&map) || bench_wants(&unmap)) {
        bench_start(&map);
        int error = vm_map(&area, bytes, prot, "pvbench");
        bench_stop(&map);
        if (error) {
            bench_missing(map_name, "more memory is needed");
            bench_missing(unmap_name, "more memory is needed");
            return;
        }
        bench_start(&unmap);
        vm_unmap(area, bytes);
        bench_stop(&unmap);
    }
    bench_report(&map);
    bench_report(&unmap);
}

static void allocate(unsigned n, void *arg)
{
    (void)arg;
    while (n--) {
        void *block = malloc(BLOCK_BYTES);

        asm volatile("" : : "r"(block) : "memory"); /* it is used, for all the compiler knows */
        free(block);
    }
}

void bench_memory(void)
{
    map_unmap(1, "zeroed", VM_READ | VM_WRITE);
    map_unmap(1, "dirty", VM_READ | VM_WRITE | VM_DIRTY);
    map_unmap(MANY_PAGES, "zeroed", VM_READ | VM_WRITE);
    map_unmap(MANY_PAGES, "dirty", VM_READ | VM_WRITE | VM_DIRTY);
    bench_loop("heap.malloc_free", PAIRS, allocate, NULL);
}
