/*
 * Hypercalls by number: those that do not exist, those that do with nonsense, and multicalls.
 */
#include "tests/guest/hypercall.h"

#include <string.h>

#include <xen/version.h>

#include "tests/guest/test.h"

#define NONSENSE 0x5a5a5a5a5a5a5a5aul

TEST(hypercall_unknown, "Numbers that no hypercall has, small and huge, give -ENOSYS.")
{
    static const uint64_t unknown[] = {43,         47,         60,        63,     64,
                                       100,        127,        128,       0xffff, 0x7fffffff,
                                       0x80000000, 0xffffffff, 1ul << 63, ~0ul};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        if (unknown[i] < HYPERCALLS)
            CHECK_EQ(hypercall((unsigned)unknown[i], NONSENSE, NONSENSE, 0, 0, 0), -XEN_ENOSYS);
        CHECK_EQ(hypercall_by_multicall(unknown[i], NONSENSE, NONSENSE, 0, 0, 0), -XEN_ENOSYS);
    }
}

/* Calls that do what they are told with any argument, as they should, or end the guest. */
static bool is_obedient(unsigned number)
{
    switch (number) {
    case __HYPERVISOR_set_callbacks:
    case __HYPERVISOR_stack_switch:
    case __HYPERVISOR_fpu_taskswitch:
    case __HYPERVISOR_set_timer_op:
    case __HYPERVISOR_vm_assist:
    case __HYPERVISOR_kexec_op: /* Xen: 0 where no memory is kept for a crash kernel */
    case __HYPERVISOR_iret:
        return true;
    default:
        return false;
    }
}

TEST(hypercall_nonsense, "Every hypercall with nonsense as its arguments gives an error.")
{
    static const uint64_t nonsense[] = {NONSENSE, ~0ul, 0x800000000ff8, 0xffff800000000ff8,
                                        0x7fffffff};

    for (unsigned number = 0; number < HYPERCALLS; number++) {
        if (is_obedient(number))
            continue;
        for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
            uint64_t n = nonsense[i];
            long result = hypercall(number, n, n, n, n, n);

            if (result >= 0)
                FAIL("hypercall %u with 0x%lx gives %ld", number, n, result);
        }
    }
}

TEST(hypercall_registers, "A hypercall changes no register but its own.")
{
    uint64_t in[6] = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666}, out[6];
    extern const char hypercall_page[];

    asm volatile("push %%rbp; push %%rbx\n\t"
                 "mov (%%rsi), %%rbx; mov 8(%%rsi), %%rbp; mov 16(%%rsi), %%r12\n\t"
                 "mov 24(%%rsi), %%r13; mov 32(%%rsi), %%r14; mov 40(%%rsi), %%r15\n\t"
                 "push %%rdi; xor %%edi, %%edi; xor %%esi, %%esi; call *%%rax; pop %%rdi\n\t"
                 "mov %%rbx, (%%rdi); mov %%rbp, 8(%%rdi); mov %%r12, 16(%%rdi)\n\t"
                 "mov %%r13, 24(%%rdi); mov %%r14, 32(%%rdi); mov %%r15, 40(%%rdi)\n\t"
                 "pop %%rbx; pop %%rbp"
                 : "+S"((uint64_t *){in}),
                   "+a"((const char *){hypercall_page + __HYPERVISOR_xen_version * 32})
                 : "D"(out)
                 : "memory", "cc", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                   "r15");
    CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
}

/* --- Multicall ------------------------------------------------------------------------------ */

static long multicall(uint64_t calls, uint64_t count)
{
    return hypercall(__HYPERVISOR_multicall, calls, count, 0, 0, 0);
}

TEST(multicall_results, "Each call of a batch has its own result; one that fails does not stop it.")
{
    struct multicall_entry calls[] = {
        {.op = __HYPERVISOR_xen_version, .args = {XENVER_version}},
        {.op = 60, .args = {1, 2, 3}},
        {.op = __HYPERVISOR_xen_version, .args = {9999}},
        {.op = __HYPERVISOR_update_va_mapping, .args = {0xffff800000000000}},
        {.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}},
    };

    CHECK_OK(multicall(address_of(calls), sizeof(calls) / sizeof(calls[0])));
    CHECK_EQ(calls[0].result, hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0));
    CHECK_EQ(calls[1].result, -XEN_ENOSYS);
    CHECK_EQ(calls[2].result, -XEN_ENOSYS);
    CHECK_EQ((int64_t)calls[3].result, -XEN_EINVAL);
    CHECK_EQ(calls[4].result, PAGE_SIZE);
}

TEST(multicall_pointers, "A batch that cannot be read or written is refused.")
{
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (!CHECK_EQ(multicall(bad->address, 1), -XEN_EFAULT))
            FAIL("%s", bad->name);
    CHECK_OK(multicall(0, 0));

    /* The second entry lies beyond the edge; the first one has been done. */
    struct multicall_entry *at_edge = open_edge(sizeof(*at_edge));
    REQUIRE(at_edge);
    *at_edge = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
    CHECK_EQ(multicall(address_of(at_edge), 2), -XEN_EFAULT);
    CHECK_OK(multicall(address_of(at_edge), 1));
    CHECK_LT(0, (int64_t)at_edge->result);
    CHECK_LT(multicall(address_of(at_edge), UINT32_MAX), 0);
    close_edge();
}

TEST(multicall_read_only, "A batch in read-only memory is refused, as its results go there.")
{
    static const struct multicall_entry constant = {.op = __HYPERVISOR_xen_version};

    CHECK_EQ(multicall(address_of(&constant), 1), -XEN_EFAULT);
}

TEST(multicall_nested, "A multicall within a multicall is refused.")
{
    struct multicall_entry inner = {.op = __HYPERVISOR_xen_version};
    long result = hypercall_by_multicall(__HYPERVISOR_multicall, address_of(&inner), 1, 0, 0, 0);

    CHECK_EQ(result, -XEN_EINVAL);
    /* Ourselves as our own only entry. */
    struct multicall_entry self = {.op = __HYPERVISOR_multicall};
    self.args[0] = address_of(&self);
    self.args[1] = 1;
    CHECK_OK(multicall(address_of(&self), 1));
    CHECK_EQ((int64_t)self.result, -XEN_EINVAL);
}
