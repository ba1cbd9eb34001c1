/*
 * The page-table update queue: many changes, one hypercall.
 *
 * Callers: kernel/ with vm_lock held, which protects everything here. Ring 3.
 * ABI: xen.h, mmu_update (checked `*ptr = val` on machine addresses), mmuext_op, multicall.
 */
#include "pv/shared.h"

#include <errno.h>

#define CLEARS 4       /* fresh page tables in one batch */
#define INVALIDATES 16 /* beyond, the whole TLB goes */

static struct {
    struct mmuext_op clears[CLEARS];
    struct mmuext_op invalidates[INVALIDATES];
    unsigned nr_clears, nr_invalidates;
    int error; /* of an earlier, automatic flush */
} queue;

struct pv_mmu_queue pv_mmu_queue; /* the entry writes: also used by pv_mmu_set in pv/pv.h */

_Static_assert(sizeof(pv_mmu_queue.updates[0]) == sizeof(struct mmu_update) &&
                   MMU_NORMAL_PT_UPDATE == 0,
               "an entry of the queue is an update request of the plain kind");

static unsigned add_call(struct multicall_entry *calls, unsigned at, unsigned op, const void *list,
                         unsigned count)
{
    calls[at].op = op;
    calls[at].args[0] = (unsigned long)list;
    calls[at].args[1] = count;
    calls[at].args[2] = 0; /* no done count: one failure undoes the whole operation */
    calls[at].args[3] = DOMID_SELF;
    return at + 1;
}

static void keep(long error)
{
    if (error && !queue.error)
        queue.error = pv_errno(error);
}

static void send_with_others(void)
{
    struct multicall_entry calls[3];
    unsigned count = 0;

    if (queue.nr_clears)
        count = add_call(calls, count, __HYPERVISOR_mmuext_op, queue.clears, queue.nr_clears);
    if (pv_mmu_queue.count)
        count = add_call(calls, count, __HYPERVISOR_mmu_update, pv_mmu_queue.updates,
                         pv_mmu_queue.count);
    if (queue.nr_invalidates > INVALIDATES) {
        queue.invalidates[0] = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL};
        count = add_call(calls, count, __HYPERVISOR_mmuext_op, queue.invalidates, 1);
    } else if (queue.nr_invalidates) {
        count =
            add_call(calls, count, __HYPERVISOR_mmuext_op, queue.invalidates, queue.nr_invalidates);
    }

    long error = hypervisor_multicall(calls, count);
    for (unsigned i = 0; !error && i < count; i++)
        error = (long)calls[i].result;
    keep(error);
}

/* Most batches are of entry writes alone. Keeps the first error. */
void pv_mmu_send(void)
{
    if (queue.nr_clears || queue.nr_invalidates)
        send_with_others();
    else if (pv_mmu_queue.count)
        keep(hypervisor_mmu_update(pv_mmu_queue.updates, pv_mmu_queue.count));
    queue.nr_clears = pv_mmu_queue.count = queue.nr_invalidates = 0;
}

void pv_mmu_clear(pfn_t frame)
{
    if (queue.nr_clears == CLEARS)
        pv_mmu_send();
    queue.clears[queue.nr_clears++] =
        (struct mmuext_op){.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = pv_mfn(frame).n};
}

maddr_t pv_mmu_slot(pfn_t table, unsigned index)
{
    return (maddr_t){pv_mfn(table).n << PAGE_SHIFT | index * sizeof(uint64_t)};
}

void pv_mmu_invalidate(vaddr_t va)
{
    if (queue.nr_invalidates < INVALIDATES)
        queue.invalidates[queue.nr_invalidates] =
            (struct mmuext_op){.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = va.n};
    if (queue.nr_invalidates <= INVALIDATES)
        queue.nr_invalidates++;
}

void pv_mmu_invalidate_all(void)
{
    queue.nr_invalidates = INVALIDATES + 1;
}

int pv_mmu_flush(void)
{
    pv_mmu_send();
    int error = queue.error;
    queue.error = 0;
    return error;
}

int pv_mmu_seal(vaddr_t start, vaddr_t end)
{
    return pv_errno(hypervisor_seal(start.n, end.n));
}
