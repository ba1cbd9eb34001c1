/* mmu_update, update_va_mapping and mmuext_op: xen.h, the sections of those names; the seal. Ring
 * 0. */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/abi.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/work.h"

static int64_t finish(uint64_t done_out, uint64_t done, int64_t error)
{
    uint32_t count = (uint32_t)done;

    if (done_out && guest_write(done_out, &count, sizeof(count)))
        return -EFAULT;
    return error;
}

static int64_t check_batch(uint64_t address, uint64_t bytes_each, uint64_t count, uint64_t domid)
{
    if (!domid_is_self(domid))
        return -ESRCH;
    work_begin();
    if (work_take(count))
        return -E2BIG;
    return guest_range_is_ok(address, count * bytes_each) ? 0 : -EFAULT;
}

static int64_t update(uint64_t ptr, uint64_t value)
{
    switch (ptr & 7) {
    case MMU_NORMAL_PT_UPDATE:
        return pagetable_set(ptr, value, 0);
    case MMU_MACHPHYS_UPDATE:
        return m2p_set(mfn(ptr >> PAGE_SHIFT), value);
    case MMU_PT_UPDATE_PRESERVE_AD:
        return pagetable_set(ptr & ~7ul, value, 1);
    default:
        return ptr == ~0ul ? -EFAULT : -ENOSYS; /* see guest_read_pair_in_range() */
    }
}

static int is_in_l1(uint64_t ptr)
{
    mfn_t frame = mfn(ptr >> PAGE_SHIFT);

    return frame.n < frame_limit && frame_type(frame) == FRAME_L1;
}

/*
 * Batches mostly map or unmap data in one L1 table: works off the requests from `at` on as long as
 * they do, and returns where it stopped. A function of its own, which calls none: all that its loop
 * needs fits into registers.
 */
__attribute__((noinline)) static uint64_t update_l1_table(uint64_t at, uint64_t end,
                                                          uint64_t l1_table)
{
    char *entries = machine_to_virtual(l1_table);
    struct l1_checks checks = l1_checks();

    for (; at != end; at += sizeof(struct mmu_update)) {
        uint64_t offset, value;

        guest_read_pair_in_range(at, &offset, &value);
        offset ^= l1_table; /* after a fault its upper bits are set in any case */
        if (offset & ~0xff8ul || !l1_set_data((void *)(entries + offset), value, &checks))
            break;
    }
    return at;
}

int64_t hypercall_mmu_update(uint64_t requests, uint64_t count, uint64_t done_out, uint64_t domid)
{
    count &= UINT32_MAX;

    int64_t error = check_batch(requests, sizeof(struct mmu_update), count, domid);
    uint64_t at = requests, end = error ? at : at + count * sizeof(struct mmu_update);

    while (at != end) {
        uint64_t ptr, value;

        guest_read_pair_in_range(at, &ptr, &value);
        error = work.left < 0 ? -E2BIG : update(ptr, value);
        if (error)
            break;
        at += sizeof(struct mmu_update);
        if (at != end && is_in_l1(ptr))
            at = update_l1_table(at, end, ptr & PTE_ADDRESS);
    }
    return finish(done_out, (at - requests) / sizeof(struct mmu_update), error);
}

int64_t hypercall_update_va_mapping(uint64_t virtual, uint64_t entry, uint64_t flags)
{
    uint64_t addr = pagetable_find_l1(virtual);
    int64_t error = addr ? pagetable_set(addr, entry, 0) : -EINVAL;

    /* As Xen does, flush even after an error. The CPUs to flush on (UVMF_MULTI) are all one. */
    switch (flags & UVMF_FLUSHTYPE_MASK) {
    case UVMF_TLB_FLUSH:
        tlb_flush();
        break;
    case UVMF_INVLPG:
        cpu_invlpg(virtual);
        break;
    }
    return error;
}

int64_t hypercall_update_va_mapping_otherdomain(uint64_t virtual, uint64_t entry, uint64_t flags,
                                                uint64_t domid)
{
    if (!domid_is_self(domid))
        return -ESRCH;
    return hypercall_update_va_mapping(virtual, entry, flags);
}

/* A frame of the domain that the hypervisor may fill, as if it were mapped writable. */
static int64_t fill_frame(mfn_t to, const mfn_t *from)
{
    if (to.n >= frame_limit || (from && from->n >= frame_limit))
        return -EINVAL;
    if (from && frame_type(*from) == FRAME_FIXED)
        return -EPERM;

    int64_t error = frame_get(to, FRAME_WRITABLE);

    if (error)
        return error;

    work.left -= WORK_CALL;

    void *target = frame_to_virtual(to);
    uint64_t words = PAGE_BYTES / 8;

    if (from) {
        const void *source = frame_to_virtual(*from);

        __asm__ volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(words) : : "memory");
    } else {
        __asm__ volatile("rep stosq" : "+D"(target), "+c"(words) : "a"(0ul) : "memory");
    }
    frame_table[to.n]--;
    return 0;
}

static int64_t do_mmuext(const struct mmuext_op *op)
{
    mfn_t frame = mfn(op->arg1.mfn);

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return pagetable_pin(frame, op->cmd - MMUEXT_PIN_L1_TABLE + 1);
    case MMUEXT_UNPIN_TABLE:
        return pagetable_unpin(frame);
    case MMUEXT_NEW_BASEPTR:
        return pagetable_set_base(frame);
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_TLB_FLUSH_ALL:
        tlb_flush();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_INVLPG_ALL:
        cpu_invlpg(op->arg1.linear_addr);
        return 0;
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        work.left -= WORK_TABLE;
        __asm__ volatile("wbinvd" : : : "memory");
        return 0;
    case MMUEXT_CLEAR_PAGE:
        return fill_frame(frame, NULL);
    case MMUEXT_COPY_PAGE: {
        mfn_t source = mfn(op->arg2.src_mfn);

        return fill_frame(frame, &source);
    }
    case MMUEXT_SET_LDT: /* none is all there is */
        return op->arg2.nr_ents == 0 ? 0 : -EOPNOTSUPP;
    case MMUEXT_NEW_USER_BASEPTR: /* there is no guest user mode to have one */
        return frame.n == 0 ? 0 : -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

int64_t hypercall_mmuext_op(uint64_t ops, uint64_t count, uint64_t done_out, uint64_t domid)
{
    count &= UINT32_MAX;

    int64_t error = check_batch(ops, sizeof(struct mmuext_op), count, domid);
    uint64_t done = 0;

    for (; !error && done < count; done++) {
        uint64_t at = ops + done * sizeof(struct mmuext_op);
        struct mmuext_op op;
        uint64_t command, arg1, arg2;

        error = -EFAULT;
        if (guest_read64_in_range(at, &command) || guest_read128_in_range(at + 8, &arg1, &arg2))
            break;
        op.cmd = (uint32_t)command;
        op.arg1.mfn = arg1; /* both are unions of 64-bit values */
        op.arg2.src_mfn = arg2;
        error = work.left < 0 ? -E2BIG : do_mmuext(&op);
        if (error)
            break;
    }
    return finish(done_out, done, error);
}

int64_t hypercall_seal(uint64_t start, uint64_t end)
{
    return domain.features & PARVUS_FEATURE_SEAL ? pagetable_seal(start, end) : -ENOSYS;
}
