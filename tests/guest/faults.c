/*
 * Each way of reaching for what is not there or not allowed, as the exception it must raise.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

static void nothing(void *unused)
{
    (void)unused;
}

TEST(fault_none, "What does not fault is not reported as a fault.")
{
    struct fault fault = {.vector = 99};

    CHECK_EQ(fault_catch(nothing, NULL, &fault), 0);
    CHECK_EQ(fault.vector, 99);
}

static void divide(void *unused)
{
    (void)unused;
    asm volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::
                     : "rax", "rcx", "rdx");
}

/* The quotient has 65 bits. */
static void divide_overflow(void *unused)
{
    (void)unused;
    asm volatile("mov $2, %%edx; xor %%eax, %%eax; mov $2, %%ecx; div %%rcx" ::
                     : "rax", "rcx", "rdx");
}

TEST(fault_divide, "Division by zero and a quotient too large raise #DE.")
{
    CHECK_FAULT(divide, NULL, TRAP_DIVIDE);
    CHECK_FAULT(divide_overflow, NULL, TRAP_DIVIDE);
}

static void undefined(void *unused)
{
    (void)unused;
    asm volatile("ud2");
}

TEST(fault_invalid_opcode, "An undefined instruction raises #UD, at its own address.")
{
    struct fault fault;

    REQUIRE(test_faults(__FILE__, __LINE__, undefined, NULL, TRAP_INVALID_OPCODE, &fault));
    CHECK_EQ(*(const uint16_t *)fault.rip, 0x0b0f);
}

static void breakpoint(void *unused)
{
    (void)unused;
    asm volatile("int3");
}

TEST(fault_breakpoint, "int3 raises #BP.")
{
    CHECK_FAULT(breakpoint, NULL, TRAP_BREAKPOINT);
}

static void x87_divide(void *unused)
{
    static const uint16_t divide_by_zero_unmasked = 0x37f & ~4;

    (void)unused;
    asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(divide_by_zero_unmasked));
}

TEST(fault_x87, "An unmasked x87 exception raises #MF, and the FPU works afterwards.")
{
    volatile double one = 1;

    CHECK_FAULT(x87_divide, NULL, TRAP_X87);
    asm volatile("fninit");
    CHECK(one / 2 == 0.5);
}

TEST(fault_non_canonical, "Addresses that are none raise #GP for reading, writing and calling.")
{
    static const uintptr_t addresses[] = {0x800000000000, 0xdeadbeefdeadbeef, 0xffff7fffffffffff};

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        CHECK_FAULT(access_read, (void *)addresses[i], TRAP_GENERAL_PROTECTION);
        CHECK_FAULT(access_write, (void *)addresses[i], TRAP_GENERAL_PROTECTION);
        CHECK_FAULT(access_call, (void *)addresses[i], TRAP_GENERAL_PROTECTION);
    }
}

static void nested_inner(void *out)
{
    CHECK_FAULT(undefined, NULL, TRAP_INVALID_OPCODE);
    *(int *)out = 1;
    divide(NULL);
}

TEST(fault_nested, "A fault may be expected inside of what is expected to fault.")
{
    int inner = 0;

    CHECK_FAULT(nested_inner, &inner, TRAP_DIVIDE);
    CHECK_EQ(inner, 1);
}

TEST(fault_many, "Faults do not use anything up: 2,000 in a row.")
{
    for (int i = 0; i < 2000 && !test_has_failed(); i++)
        CHECK_PAGE_FAULT(access_read, (void *)8, 0, (void *)8);
}

/* --- Stack overflow ------------------------------------------------------------------------- */

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[256];

    frame[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void overflow(void *unused)
{
    (void)unused;
    recurse(0);
}

static void *overflowing_thread(void *out)
{
    test_faults(__FILE__, __LINE__, overflow, NULL, TRAP_DOUBLE_FAULT, out);
    return __builtin_frame_address(0);
}

TEST_WHERE(fault_stack_overflow, "A stack overflow hits the guard page, and only that thread's.",
           needs_parvus)
{
    struct thread_attr attr = {.name = "deep", .stack_bytes = 16 * 1024};
    struct fault fault = {0};
    struct thread *t;
    struct vm_info info;
    void *stack;

    for (int i = 0; i < 3; i++) {
        REQUIRE_OK(thread_create(&t, &attr, overflowing_thread, &fault));
        vm_query((uintptr_t)t, &info);
        CHECK_OK(thread_join(t, &stack));
        CHECK_LT(fault.address, info.start);
        CHECK_GE(fault.address, info.start - PAGE_SIZE);
    }
}

static void load_ldt_selector(void *unused)
{
    (void)unused;
    asm volatile("mov %0, %%ds" ::"r"(7));
}

/* A processor comes out of reset with an LDT at address 0, where a call gate could be made. */
TEST(fault_no_ldt, "There is no local descriptor table, not even that of the reset state.")
{
    CHECK_FAULT(load_ldt_selector, NULL, TRAP_GENERAL_PROTECTION);
}
