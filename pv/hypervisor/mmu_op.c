/* mmu_update, update_va_mapping and mmuext_op: xen.h, the sections of those names; the seal. Ring
 * 0. */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/abi.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/continuation.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/pagetable.h"
#include "pv/hypervisor/work.h"

/*
 * Xen's own bit of the count, which no public header has (MMU_UPDATE_PREEMPTED): the call continues
 * another one, and goes on counting what was done. With no requests, it has only waited for tables
 * to be released: then the domain id is the result.
 */
#define CONTINUED 0x80000000ul

/* A list of requests; `count` without what was done in calls that this one continues: `before`. */
struct batch {
    unsigned int hypercall;
    unsigned int bytes_each;
    uint64_t requests, count, before, done_out;
};

static int64_t write_done(uint64_t done_out, uint64_t done)
{
    uint32_t count = (uint32_t)done;

    return done_out ? guest_write(done_out, &count, sizeof(count)) : 0;
}

static int64_t continue_with(const struct batch *batch, uint64_t requests, uint64_t count,
                             uint64_t domid)
{
    const uint64_t args[] = {requests, count, batch->done_out, domid};

    return continuation_make(batch->hypercall, args, 4);
}

/*
 * Leave a batch at the request at `at`: with an error, or -ERESTART, when the slice is used up or
 * its requests are done.
 */
__attribute__((noinline, cold)) static int64_t leave(const struct batch *batch, uint64_t at,
                                                     int64_t error)
{
    uint64_t done = (at - batch->requests) / batch->bytes_each;

    if (error == -ERESTART && done == batch->count)
        error = 0;
    if (write_done(batch->done_out, batch->before + done))
        error = -EFAULT;
    if (error == -ERESTART)
        return continue_with(batch, at, (batch->count - done) | CONTINUED, DOMID_SELF);
    if (pagetable_is_releasing())
        return continue_with(batch, 0, CONTINUED, (uint64_t)error);
    return error;
}

/* Its own number is not DOMID_SELF here, in Xen either: that would name another domain. */
static int is_self(uint64_t domid)
{
    return (uint32_t)domid == DOMID_SELF;
}

/* The vCPUs that a flush is for: all are one, but who names them must name them. */
static int names_vcpus(uint64_t mask)
{
    uint64_t first_word;

    return !guest_read(&first_word, mask, sizeof(first_word));
}

/*
 * Begin one that is too long for its slice, continues another, or waits for tables to be released.
 * Returns whether it begins, with *end after the last request for this slice; else with *result.
 */
__attribute__((noinline, cold)) static int begin_long(struct batch *batch, uint64_t domid,
                                                      uint64_t *end, int64_t *result)
{
    uint32_t before = 0;

    if (pagetable_is_releasing()) {
        work.left = WORK_SLICE;
        if (pagetable_release()) {
            *result = continue_with(batch, batch->requests, batch->count, domid);
            return 0;
        }
    }
    if (batch->count == CONTINUED && !batch->requests) {
        *result = (int32_t)domid;
        return 0;
    }
    if (batch->count & CONTINUED) {
        batch->count &= ~CONTINUED;
        if (batch->done_out && guest_read(&before, batch->done_out, sizeof(before)))
            before = 0; /* then it cannot be written either */
        batch->before = before;
    }

    int64_t error = 0;

    if (!is_self(domid))
        error = -ESRCH;
    else if (!guest_range_is_ok(batch->requests, batch->count * batch->bytes_each))
        error = -EFAULT;
    else if (work.left < 0)
        error = -ERESTART;
    if (error) {
        *result = leave(batch, batch->requests, error);
        return 0;
    }

    /* The other half is for entries that are not of the commonest kind. */
    uint64_t granted = (uint64_t)work.left / 2 + 1;

    if (granted > batch->count)
        granted = batch->count;
    work.left -= (int64_t)granted;
    *end = batch->requests + granted * batch->bytes_each;
    return 1;
}

static int64_t update(uint64_t ptr, uint64_t value)
{
    if (__builtin_expect((ptr & 7) == MMU_NORMAL_PT_UPDATE, 1))
        return pagetable_set(ptr, value, 0);
    switch (ptr & 7) {
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

/*
 * Works off the requests up to `end`; returns where it stopped. *error: why, or -ERESTART when the
 * slice is used up, be it after the last one.
 */
static inline __attribute__((always_inline)) uint64_t update_all(uint64_t at, uint64_t end,
                                                                 int64_t *error)
{
    while (at != end) {
        uint64_t ptr, value;

        guest_read_pair_in_range(at, &ptr, &value);
        *error = update(ptr, value);
        if (*error)
            break;
        at += sizeof(struct mmu_update);
        work.left -= WORK_ENTRY;
        if (work.left < 0) {
            *error = -ERESTART;
            break;
        }
        if (at != end && is_in_l1(ptr))
            at = update_l1_table(at, end, ptr & PTE_ADDRESS);
    }
    return at;
}

__attribute__((noinline, cold)) static int64_t update_long(struct batch *batch, uint64_t domid)
{
    uint64_t end;
    int64_t error = 0;

    if (!begin_long(batch, domid, &end, &error))
        return error;

    uint64_t at = update_all(batch->requests, end, &error);

    return leave(batch, at, error ? error : -ERESTART);
}

int64_t hypercall_mmu_update(uint64_t requests, uint64_t count, uint64_t done_out, uint64_t domid)
{
    count &= UINT32_MAX;
    work_begin(work.mmu_slice);

    struct batch batch = {
        __HYPERVISOR_mmu_update, sizeof(struct mmu_update), requests, count, 0, done_out};
    uint64_t bytes = count * sizeof(struct mmu_update);

    if (work_take(count) || !is_self(domid) || !guest_range_is_ok(requests, bytes))
        return update_long(&batch, domid);

    int64_t error = 0;
    uint64_t at = update_all(requests, requests + bytes, &error);

    return error ? leave(&batch, at, error) : write_done(done_out, count);
}

int64_t hypercall_update_va_mapping(uint64_t virtual, uint64_t entry, uint64_t flags)
{
    uint64_t addr = pagetable_find_l1(virtual);
    int64_t error = addr ? pagetable_set(addr, entry, 0) : -EINVAL;
    uint64_t vcpus = flags & ~UVMF_FLUSHTYPE_MASK; /* UVMF_LOCAL, UVMF_ALL, or where a mask is */

    if (error)
        return error;
    switch (flags & UVMF_FLUSHTYPE_MASK) {
    case UVMF_TLB_FLUSH:
        tlb_flush();
        break;
    case UVMF_INVLPG:
        cpu_invlpg(virtual);
        break;
    default:
        return 0;
    }
    return vcpus == UVMF_LOCAL || vcpus == UVMF_ALL || names_vcpus(vcpus) ? 0 : -EFAULT;
}

int64_t hypercall_update_va_mapping_otherdomain(uint64_t virtual, uint64_t entry, uint64_t flags,
                                                uint64_t domid)
{
    if (!is_self(domid))
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

    work.left -= WORK_PAGE;

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

/* None is all there is; what Xen would take is refused as not supported, the rest as in Xen. */
static int64_t set_ldt(uint64_t virtual, uint32_t count)
{
    if (count == 0)
        return 0;
    if (virtual % PAGE_BYTES || !guest_address_is_ok(virtual) || count > 8192)
        return -EINVAL;
    return -EOPNOTSUPP;
}

/* Likewise: there is no guest user mode to have one. */
static int64_t set_user_base(mfn_t frame)
{
    if (frame.n == 0)
        return 0;
    return frame.n < frame_limit && frame_type(frame) == FRAME_L4 ? -EOPNOTSUPP : -EINVAL;
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
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        if (!names_vcpus((uint64_t)op->arg2.vcpumask.p))
            return -EINVAL;
        if (op->cmd == MMUEXT_TLB_FLUSH_MULTI)
            tlb_flush();
        else
            cpu_invlpg(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_ALL:
        tlb_flush();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
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
    case MMUEXT_SET_LDT:
        return set_ldt(op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_NEW_USER_BASEPTR:
        return set_user_base(frame);
    case MMUEXT_MARK_SUPER: /* Xen: for what is neither a PV guest nor small pages */
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

static int64_t do_mmuext_at(uint64_t at)
{
    struct mmuext_op op;
    uint64_t command, arg1, arg2;

    if (guest_read64_in_range(at, &command) || guest_read128_in_range(at + 8, &arg1, &arg2))
        return -EFAULT;
    op.cmd = (uint32_t)command;
    op.arg1.mfn = arg1; /* both are unions of 64-bit values */
    op.arg2.src_mfn = arg2;
    return do_mmuext(&op);
}

/* As update_all(). */
__attribute__((noinline)) static uint64_t do_mmuext_all(uint64_t at, uint64_t end, int64_t *error)
{
    while (at != end) {
        *error = do_mmuext_at(at);
        if (*error)
            break;
        at += sizeof(struct mmuext_op);
        if (work.left < 0) {
            *error = -ERESTART;
            break;
        }
    }
    return at;
}

__attribute__((noinline, cold)) static int64_t mmuext_long(struct batch *batch, uint64_t domid)
{
    uint64_t end;
    int64_t error = 0;

    if (!begin_long(batch, domid, &end, &error))
        return error;

    uint64_t at = do_mmuext_all(batch->requests, end, &error);

    return leave(batch, at, error ? error : -ERESTART);
}

int64_t hypercall_mmuext_op(uint64_t ops, uint64_t count, uint64_t done_out, uint64_t domid)
{
    count &= UINT32_MAX;
    work_begin(work.mmu_slice);

    struct batch batch = {
        __HYPERVISOR_mmuext_op, sizeof(struct mmuext_op), ops, count, 0, done_out};
    uint64_t bytes = count * sizeof(struct mmuext_op);

    if (work_take(count) || !is_self(domid) || !guest_range_is_ok(ops, bytes))
        return mmuext_long(&batch, domid);

    int64_t error = 0;
    uint64_t at = do_mmuext_all(ops, ops + bytes, &error);

    return error ? leave(&batch, at, error) : write_done(done_out, count);
}

int64_t hypercall_seal(uint64_t start, uint64_t end)
{
    return domain.features & PARVUS_FEATURE_SEAL ? pagetable_seal(start, end) : -ENOSYS;
}
