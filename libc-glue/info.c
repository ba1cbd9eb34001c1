/*
 * What <parvus.h> tells of the system.
 *
 * An ordinary call from threads.
 */
#include <malloc.h>
#include <parvus.h>

#include "kernel/clock.h"
#include "kernel/page.h"

void parvus_info(struct parvus_info *out)
{
    struct mallinfo heap = mallinfo();
    struct page_counts pages;
    bool is_parvus = pv_boot.wx_enforced || pv_boot.status_latched;

    page_counts(&pages);
    *out = (struct parvus_info){
        .hypervisor = is_parvus ? "Parvus" : "Xen",
        .interface = pv_boot.hypervisor,
        .initial_domain = pv_boot.initial_domain,
        .wx_enforced = pv_boot.wx_enforced,
        .fault_stack = is_parvus,
        .tsc_hz = clock_tsc_hz(),
        .uptime_ns = clock_monotonic_ns(),
        .memory_bytes = pages.total_pages * PAGE_SIZE,
        .memory_free_bytes = pages.free_pages * PAGE_SIZE,
        .heap_bytes = heap.arena,
        .heap_used_bytes = heap.uordblks,
        .initrd_bytes = pv_boot.initrd_bytes,
        .processors = 1,
    };
}
