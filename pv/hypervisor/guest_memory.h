/*
 * Reading and writing the guest's memory at guest-virtual addresses: -EFAULT where the guest has
 * nothing mapped there, or nothing writable, or where the hypervisor's own addresses begin.
 *
 * The hypervisor runs on the guest's page tables, which it validated: an address below its own
 * range can reach the domain's frames only. What is missing faults, and the fault resumes at the
 * fixup that stands beside each access (section .fixups, trap.c). Callers copy each thing once and
 * check the copy. Ring 0.
 */
#ifndef HYPERVISOR_GUEST_MEMORY_H
#define HYPERVISOR_GUEST_MEMORY_H

#include <stdint.h>
#include <stddef.h>
#include "pv/hypervisor/errno.h"

#define HYPERVISOR_AREA_START 0xffff800000000000ul /* HYPERVISOR_VIRT_START */
#define HYPERVISOR_AREA_END 0xffff880000000000ul   /* HYPERVISOR_VIRT_END */

struct fixup {
    uint64_t rip, resume;
};

/* A fault at label 1 or 2 makes `error` -EFAULT and goes on at label 3. */
#define FIXUP(at, error)                                                                           \
    ".pushsection .text.fixup, \"ax\"\n4:\tmov %[fault], " error "\n\tjmp 3b\n\t.popsection\n\t"   \
    ".pushsection .fixups, \"a\"\n\t.quad " at ", 4b\n\t.popsection\n\t"

/* A non-canonical address is left to the access itself: it raises #GP, with the same fixup. */
static inline int guest_range_is_ok(uint64_t addr, uint64_t bytes)
{
    uint64_t end = addr + bytes;

    return end >= addr && (end <= HYPERVISOR_AREA_START || addr >= HYPERVISOR_AREA_END);
}

/* Canonical (SDM vol. 1, 3.3.7.1), and not the hypervisor's. */
static inline int guest_address_is_ok(uint64_t addr)
{
    return (int64_t)(addr << 16) >> 16 == (int64_t)addr && guest_range_is_ok(addr, 1);
}

/* The next ones: for a range that guest_range_is_ok() allowed. */
static inline int guest_read64_in_range(uint64_t addr, uint64_t *value)
{
    int error = 0;

    __asm__ volatile("1: mov (%[addr]), %[value]\n"
                     "3:\n\t" FIXUP("1b", "%[error]")
                     : [error] "+&r"(error), [value] "=&r"(*value)
                     : [addr] "r"(addr), [fault] "i"(-EFAULT)
                     : "memory");
    return error;
}

/* Two words in a row: a page-table update, most of all. */
static inline int guest_read128_in_range(uint64_t addr, uint64_t *first, uint64_t *second)
{
    int error = 0;

    __asm__ volatile("1: mov (%[addr]), %[first]\n"
                     "2: mov 8(%[addr]), %[second]\n"
                     "3:\n\t" FIXUP("1b", "%[error]") FIXUP("2b", "%[error]")
                     : [error] "+&r"(error), [first] "=&r"(*first), [second] "=&r"(*second)
                     : [addr] "r"(addr), [fault] "i"(-EFAULT)
                     : "memory");
    return error;
}

/* Likewise; a fault makes *first ~0, so that a caller who checks it anyway needs no other check. */
static inline void guest_read_pair_in_range(uint64_t addr, uint64_t *first, uint64_t *second)
{
    __asm__ volatile("1: mov 8(%[addr]), %[second]\n"
                     "2: mov (%[addr]), %[first]\n"
                     "3:\n\t" FIXUP("1b", "%[first]") FIXUP("2b", "%[first]")
                     : [first] "=&r"(*first), [second] "=&r"(*second)
                     : [addr] "r"(addr), [fault] "i"(-1));
}

/* Several in a row share one `error`, which a fault makes -EFAULT. */
static inline void guest_store64_in_range(uint64_t addr, uint64_t value, int *error)
{
    __asm__ volatile("1: mov %[value], %[to]\n"
                     "3:\n\t" FIXUP("1b", "%[error]")
                     : [error] "+r"(*error), [to] "=m"(*(uint64_t *)addr)
                     : [value] "r"(value), [fault] "i"(-EFAULT));
}

static inline int guest_write64_in_range(uint64_t addr, uint64_t value)
{
    int error = 0;

    guest_store64_in_range(addr, value, &error);
    return error;
}

static inline int guest_copy_bytes(void *to, const void *from, size_t bytes)
{
    int error = 0;

    __asm__ volatile("1: rep movsb\n"
                     "3:\n\t" FIXUP("1b", "%[error]")
                     : [error] "+&r"(error), "+D"(to), "+S"(from), "+c"(bytes)
                     : [fault] "i"(-EFAULT)
                     : "memory");
    return error;
}

static inline int guest_read(void *to, uint64_t from, size_t bytes)
{
    if (!guest_range_is_ok(from, bytes))
        return -EFAULT;
    return guest_copy_bytes(to, (const void *)from, bytes);
}

static inline int guest_write(uint64_t to, const void *from, size_t bytes)
{
    if (!guest_range_is_ok(to, bytes))
        return -EFAULT;
    return guest_copy_bytes((void *)to, from, bytes);
}

#endif
