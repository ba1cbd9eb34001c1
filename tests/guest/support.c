/*
 * What tests share beside the runner: expected faults, where they run, random numbers, waiting.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

/* --- Expected faults ------------------------------------------------------------------------ */

bool test_faults(const char *file, int line, void (*fn)(void *), void *arg, unsigned vector,
                 struct fault *out)
{
    struct fault fault;

    if (!fault_catch(fn, arg, &fault)) {
        test_fail(file, line, "no exception, where %u was expected", vector);
        return false;
    }
    if (out)
        *out = fault;
    if (fault.vector == vector)
        return true;
    test_fail(file, line, "exception %u (error code 0x%lx, address 0x%lx, rip 0x%lx) instead of %u",
              fault.vector, fault.error_code, fault.address, fault.rip, vector);
    return false;
}

bool test_page_faults(const char *file, int line, void (*fn)(void *), void *arg, unsigned bits,
                      const volatile void *address)
{
    struct fault fault;

    if (!test_faults(file, line, fn, arg, TRAP_PAGE_FAULT, &fault))
        return false;
    if ((fault.error_code & PF_BITS) == bits && fault.address == (uintptr_t)address)
        return true;
    test_fail(file, line, "page fault 0x%lx at 0x%lx instead of 0x%x at 0x%lx",
              fault.error_code & PF_BITS, fault.address, bits, (uintptr_t)address);
    return false;
}

void access_read(void *address)
{
    asm volatile("movb (%0), %%al" ::"r"(address) : "rax");
}

void access_write(void *address)
{
    asm volatile("movb $0, (%0)" ::"r"(address) : "memory");
}

void access_call(void *address)
{
    ((void (*)(void))address)();
}

/* --- Where this runs ------------------------------------------------------------------------ */

bool host_is_xen(void)
{
    return !host_is_parvus();
}

bool host_is_parvus(void)
{
    return pv_boot.wx_enforced; /* granted by its own feature mechanism only (pv/abi.h) */
}

bool host_deprivileges(void)
{
    extern const uint8_t hypercall_page[];
    static const uint8_t syscall[] = {0x0f, 0x05};

    /* pv/hypervisor/hypercall_page.c: another instruction where SYSCALL does not reach ring 0. */
    return host_is_parvus() && !memmem(hypercall_page, 32, syscall, sizeof(syscall));
}

const char *needs_parvus(void)
{
    return host_is_parvus() ? NULL : "Xen has no such rule (pv/abi.h)";
}

const char *needs_syscall_into_ring0(void)
{
    return host_deprivileges() ? "this KVM ends a guest in a triple fault for it" : NULL;
}

const char *needs_upper_half(void)
{
    return host_deprivileges() ? "this KVM keeps ring 3 out of the upper half" : NULL;
}

uint64_t scaled(uint64_t count)
{
    const char *divisor = getenv("TEST_SLOW");
    unsigned long by = divisor ? strtoul(divisor, NULL, 10) : 1;

    return by > 1 ? (count + by - 1) / by : count;
}

/* --- Small change --------------------------------------------------------------------------- */

/* Marsaglia's xorshift64*, high half. */
uint32_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)(r->state * 0x2545f4914f6cdd1dull >> 32);
}

uint32_t random_below(struct random *r, uint32_t limit)
{
    return (uint32_t)((uint64_t)random_next(r) * limit >> 32);
}

uint64_t ms_from_now(uint64_t ms)
{
    return clock_monotonic_ns() + ms * NS_PER_MS;
}

void sleep_ms(uint64_t ms)
{
    thread_sleep_until(ms_from_now(ms));
}

void settle(void)
{
    int priority = thread_priority(thread_self());

    thread_set_priority(thread_self(), THREAD_PRIORITY_LOW);
    thread_set_priority(thread_self(), priority);
}

uint64_t free_pages(void)
{
    struct page_counts counts;

    page_counts(&counts);
    return counts.free_pages;
}
