/*
 * Page-table updates: the same 512 entries of one L1 table set, changed and cleared, by every
 * hypercall that can and in batches of every size.
 *
 * The table and its frames are taken from the kernel's allocator for good; the table maps the
 * 2 MiB below the image, which no kernel ever uses (kernel/guest.lds). The requests are
 * ready before the clock starts: what is counted is the hypervisor's work, and pte.*.queue adds the
 * guest's own queue (pv/mmu.c). ABI: xen.h, mmu_update, update_va_mapping, multicall.
 *
 * Ring 3. Lock: vm_lock, held throughout.
 */
#include "apps/pvbench/pvbench.h"

#include <errno.h>
#include <stdio.h>

#include "apps/pvbench/bench.h"
#include "kernel/page.h"
#include "kernel/vm_lock.h"
#include "pv/hypercall.h"
#include "pv/pv.h"

#define ENTRIES 512
#define AREA_BYTES (ENTRIES * PAGE_SIZE)
#define AREA (((uintptr_t)image_start & -AREA_BYTES) - AREA_BYTES)
#define DATA                                                                                       \
    (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY | PV_PTE_NX)

/* What becomes of each entry; each leaves the table as the next one needs it. */
enum change { SET, REMAP, CLEAR, CHANGES };
static const char *const change_names[CHANGES] = {"set", "remap", "clear"};

extern char image_start[]; /* kernel/guest.lds */

static pfn_t table;
static uint64_t wanted[CHANGES][ENTRIES]; /* entries */
static struct mmu_update updates[CHANGES][ENTRIES];
static struct multicall_entry calls[CHANGES][ENTRIES];
static long failure; /* the first error that a hypercall returned */

static void check(long result)
{
    if (result && !failure)
        failure = result;
}

static long mmu_update(const struct mmu_update *list, unsigned count)
{
    register unsigned long domain asm("r10") = DOMID_SELF;
    unsigned long at = (unsigned long)list, length = count, done = 0;
    long result;

    asm volatile(HYPERCALL_TARGET
                 : "=a"(result), "+D"(at), "+S"(length), "+d"(done), "+r"(domain)
                 : HYPERCALL_ENTRY(__HYPERVISOR_mmu_update)
                 : "memory");
    return result;
}

/* --- The ways, each for the whole table ------------------------------------------------------ */

static void by_mmu_update(enum change change, unsigned batch)
{
    for (unsigned i = 0; i < ENTRIES; i += batch)
        check(mmu_update(&updates[change][i], batch));
}

/* With the flush of the whole TLB that a batch which takes rights away needs. */
static void by_mmu_update_flushed(enum change change, unsigned batch)
{
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    struct multicall_entry both[2] = {
        {.op = __HYPERVISOR_mmu_update, .args = {0, batch, 0, DOMID_SELF}},
        {.op = __HYPERVISOR_mmuext_op, .args = {(unsigned long)&flush, 1, 0, DOMID_SELF}},
    };

    for (unsigned i = 0; i < ENTRIES; i += batch) {
        both[0].args[0] = (unsigned long)&updates[change][i];
        check(hypervisor_multicall(both, 2));
        check((long)both[0].result | (long)both[1].result);
    }
}

static void by_va_mapping(enum change change, unsigned batch)
{
    (void)batch;
    for (unsigned i = 0; i < ENTRIES; i++)
        check(hypervisor_update_va_mapping(AREA + i * PAGE_SIZE, wanted[change][i], UVMF_NONE));
}

static void by_va_mapping_flushed(enum change change, unsigned batch)
{
    (void)batch;
    for (unsigned i = 0; i < ENTRIES; i++)
        check(hypervisor_update_va_mapping(AREA + i * PAGE_SIZE, wanted[change][i], UVMF_INVLPG));
}

static void by_multicall(enum change change, unsigned batch)
{
    for (unsigned i = 0; i < ENTRIES; i += batch)
        check(hypervisor_multicall(&calls[change][i], batch));
}

/* What kernel/pagetable.c does for each page. */
static void by_queue(enum change change, unsigned batch)
{
    maddr_t slot = pv_mmu_slot(table, 0);

    for (unsigned i = 0; i < ENTRIES; i += batch) {
        for (unsigned j = i; j < i + batch; j++) {
            pv_mmu_set(slot, wanted[change][j]);
            slot.n += sizeof(uint64_t);
            if (change != SET)
                pv_mmu_invalidate((vaddr_t){AREA + j * PAGE_SIZE});
        }
        check(pv_mmu_flush());
    }
}

/* --- Measuring ------------------------------------------------------------------------------- */

static void measure(const char *how, unsigned batch,
                    void (*apply)(enum change change, unsigned batch))
{
    struct bench figures[CHANGES] = {0};
    char names[CHANGES][40];

    for (int change = SET; change < CHANGES; change++) {
        snprintf(names[change], sizeof(names[change]), "pte.%s.%s.%u", change_names[change], how,
                 batch);
        figures[change] = (struct bench){.figure = names[change], .n = ENTRIES};
    }
    while (bench_wants(&figures[SET]) || bench_wants(&figures[REMAP]) ||
           bench_wants(&figures[CLEAR])) {
        for (int change = SET; change < CHANGES; change++) {
            bench_start(&figures[change]);
            apply(change, batch);
            bench_stop(&figures[change]);
        }
    }
    for (int change = SET; change < CHANGES; change++) {
        if (failure)
            bench_missing(names[change], "the hypervisor refused an update");
        else
            bench_report(&figures[change]);
    }
    failure = 0;
}

static void prepare(void)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t slot = pv_mmu_slot(table, i).n;

        for (int change = SET; change < CHANGES; change++) {
            updates[change][i] =
                (struct mmu_update){slot | MMU_NORMAL_PT_UPDATE, wanted[change][i]};
            calls[change][i] =
                (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
                                         .args = {AREA + i * PAGE_SIZE, wanted[change][i]}};
        }
    }
}

/* Frames, and the table linked into the address space. */
static int set_up(maddr_t *link)
{
    pfn_t upper, frame;
    int error = page_alloc(&table);

    for (unsigned i = 0; !error && i < 2 * ENTRIES; i++) {
        error = page_alloc(&frame);
        if (!error)
            wanted[i < ENTRIES ? SET : REMAP][i % ENTRIES] = pv_mfn(frame).n << PAGE_SHIFT | DATA;
    }
    if (error)
        return error;
    if (!pv_boot_table((vaddr_t){AREA}, 2, &upper))
        return -EINVAL;
    *link = pv_mmu_slot(upper, AREA / AREA_BYTES % ENTRIES);
    pv_mmu_clear(table);
    pv_mmu_set(*link, pv_mfn(table).n << PAGE_SHIFT | PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER |
                          PV_PTE_ACCESSED);
    return pv_mmu_flush();
}

void bench_pagetable(void)
{
    maddr_t link;

    mutex_lock(&vm_lock);
    int error = set_up(&link);
    if (error) {
        bench_missing("pte", error == -ENOMEM ? "more memory is needed" : "no page table");
        mutex_unlock(&vm_lock);
        return;
    }
    prepare();
    measure("va_mapping", 1, by_va_mapping);
    measure("va_mapping_invlpg", 1, by_va_mapping_flushed);
    for (unsigned batch = 1; batch <= ENTRIES; batch *= 2)
        measure("mmu_update", batch, by_mmu_update);
    for (unsigned batch = 1; batch <= ENTRIES; batch *= 8)
        measure("mmu_update_flush", batch, by_mmu_update_flushed);
    for (unsigned batch = 1; batch <= ENTRIES; batch *= 8)
        measure("multicall", batch, by_multicall);
    for (unsigned batch = 1; batch <= ENTRIES; batch *= 8)
        measure("queue", batch, by_queue);
    pv_mmu_set(link, 0);
    pv_mmu_flush();
    mutex_unlock(&vm_lock);
}
