/*
 * Each way of reaching for what is not there or not allowed, as the exception it must raise.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

static const char rodata[16] = "read only";
static uint8_t data[16] = {0xc3}; /* ret */
static const uint8_t ret = 0xc3;

static void just_return(void) {}

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

TEST(fault_null, "Null pointers, and small offsets from them, cannot be read, written or called.")
{
    static const uintptr_t offsets[] = {0, 8, 0xfff, 0x1000, 0x3fffff};

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        void *address = (void *)offsets[i];

        CHECK_PAGE_FAULT(access_read, address, 0, address);
        CHECK_PAGE_FAULT(access_write, address, PF_WRITE, address);
        CHECK_PAGE_FAULT(access_call, address, PF_FETCH, address);
    }
}

TEST(fault_write_text, "Code cannot be written.")
{
    void *text = (void *)(uintptr_t)just_return;

    access_read(text);
    CHECK_PAGE_FAULT(access_write, text, PF_PRESENT | PF_WRITE, text);
}

TEST(fault_write_rodata, "Constants cannot be written.")
{
    void *constant = (void *)(uintptr_t)rodata;

    CHECK_PAGE_FAULT(access_write, constant, PF_PRESENT | PF_WRITE, constant);
    CHECK_EQ(strcmp(rodata, "read only"), 0);
}

TEST(fault_execute_data, "Data, constants, stack, heap and mapped memory cannot be executed.")
{
    uint8_t stack[16] = {ret};
    uint8_t *heap = malloc(1);
    void *mapped;

    REQUIRE(heap);
    REQUIRE_OK(vm_map(&mapped, PAGE_SIZE, VM_READ | VM_WRITE, "data"));
    *heap = *(uint8_t *)mapped = ret;
    void *const places[] = {data, (void *)(uintptr_t)&ret, stack, heap, mapped};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (!CHECK_PAGE_FAULT(access_call, places[i], PF_PRESENT | PF_FETCH, places[i]))
            FAIL("place %zu", i);
    free(heap);
    CHECK_OK(vm_unmap(mapped, PAGE_SIZE));
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

TEST(fault_hypervisor_memory, "The hypervisor's addresses can be neither written nor called.")
{
    static const uintptr_t addresses[] = {0xffff800000000000, 0xffff820000000000,
                                          0xffff82d040200000, 0xffff830000000000,
                                          0xffff87fffffff000};

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct fault fault;
        void *address = (void *)addresses[i];

        if (!CHECK(fault_catch(access_write, address, &fault)) ||
            !CHECK(fault_catch(access_call, address, &fault)))
            FAIL("at 0x%lx", addresses[i]);
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

static void *guard_thread(void *unused)
{
    struct vm_info info;

    vm_query((uintptr_t)__builtin_frame_address(0), &info);
    void *guard = (void *)(info.start - 1);
    CHECK_PAGE_FAULT(access_write, guard, PF_WRITE, guard);
    vm_query((uintptr_t)guard, &info);
    CHECK(info.is_guard);
    return unused;
}

TEST(fault_guard_page, "The page below a thread's stack is unmapped.")
{
    struct thread *t;

    REQUIRE_OK(thread_create(&t, NULL, guard_thread, NULL));
    CHECK_OK(thread_join(t, NULL));
    guard_thread(NULL);
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
