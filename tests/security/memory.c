/*
 * Memory that must not be read, written or executed: from page 0 to the hypervisor's.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define RET 0xc3

static const uint8_t rodata[16] = {RET};
static uint8_t data[16] = {RET};
static uint8_t bss[16];

static void text(void) {}

static const uintptr_t low_addresses[] = {0, 8, 0xfff, 0x1000, 0x3fffff};

static void check_low(void (*access)(void *), unsigned bits)
{
    for (size_t i = 0; i < sizeof(low_addresses) / sizeof(low_addresses[0]); i++) {
        void *address = (void *)low_addresses[i];

        CHECK_PAGE_FAULT(access, address, bits, address);
    }
}

TEST(null_read, "Null pointers, and what lies behind them, cannot be read.")
{
    check_low(access_read, 0);
}

TEST(null_write, "Null pointers, and what lies behind them, cannot be written.")
{
    check_low(access_write, PF_WRITE);
}

TEST(null_execute, "Null pointers, and what lies behind them, cannot be called.")
{
    check_low(access_call, PF_FETCH);
}

static void check_write(const void *constant)
{
    void *address = (void *)(uintptr_t)constant;
    uint8_t before = *(const volatile uint8_t *)constant;

    CHECK_PAGE_FAULT(access_write, address, PF_PRESENT | PF_WRITE, address);
    CHECK_EQ(*(const volatile uint8_t *)constant, before);
}

TEST(text_write, "Code cannot be written.")
{
    check_write((const void *)(uintptr_t)text);
}

TEST(rodata_write, "Constants cannot be written.")
{
    check_write(rodata);
}

static void check_execute(const void *place)
{
    void *address = (void *)(uintptr_t)place;

    CHECK_EQ(*(const uint8_t *)place, RET);
    CHECK_PAGE_FAULT(access_call, address, PF_PRESENT | PF_FETCH, address);
}

TEST(rodata_execute, "Constants cannot be executed.")
{
    check_execute(rodata);
}

TEST(data_execute, "Initialised data cannot be executed.")
{
    check_execute(data);
}

TEST(bss_execute, "Zeroed data cannot be executed.")
{
    bss[0] = RET;
    check_execute(bss);
}

TEST(heap_execute, "The heap cannot be executed.")
{
    uint8_t *heap = malloc(1);

    REQUIRE(heap);
    *heap = RET;
    check_execute(heap);
    free(heap);
}

TEST(stack_execute, "The stack cannot be executed.")
{
    volatile uint8_t stack[16] = {RET};

    check_execute((const void *)(uintptr_t)stack);
}

TEST(mapped_execute, "Mapped memory cannot be executed.")
{
    void *mapped;

    REQUIRE_OK(vm_map(&mapped, PAGE_SIZE, VM_READ | VM_WRITE, "data"));
    *(uint8_t *)mapped = RET;
    check_execute(mapped);
    CHECK_OK(vm_unmap(mapped, PAGE_SIZE));
}

/* --- The hypervisor's ----------------------------------------------------------------------- */

#define HYPERVISOR_START 0xffff800000000000
#define HYPERVISOR_END 0xffff880000000000
#define HYPERVISOR_MEMORY 0xffff830000000000 /* Parvus' map of the machine (boot/layout.h) */
#define XEN_IMAGE 0xffff82d040200000
#define READ_ONLY_END                                                                              \
    0xffff804000000000 /* of the machine-to-physical table, which any guest reads */

static void check_unreachable(void (*access)(void *), uintptr_t start)
{
    struct random random = RANDOM(23);
    const uint64_t frames = last_frame();

    for (int i = 0; i < 64 && !test_has_failed(); i++) {
        uint64_t pages = (HYPERVISOR_END - start) >> PAGE_SHIFT;
        uintptr_t own[] = {
            HYPERVISOR_MEMORY + (uint64_t)i * 16 * PAGE_SIZE,
            HYPERVISOR_MEMORY + random_next(&random) % frames * PAGE_SIZE,
            XEN_IMAGE + (uint64_t)i * PAGE_SIZE,
            start + random_next(&random) % pages * PAGE_SIZE,
            HYPERVISOR_END - PAGE_SIZE,
        };

        for (size_t n = 0; n < sizeof(own) / sizeof(own[0]); n++) {
            struct fault fault;

            if (!fault_catch(access, (void *)own[n], &fault))
                FAIL("0x%lx", own[n]);
        }
    }
}

TEST(hypervisor_read, "The hypervisor's memory cannot be read.")
{
    check_unreachable(access_read, READ_ONLY_END);
}

TEST(hypervisor_write, "The hypervisor's memory cannot be written.")
{
    check_unreachable(access_write, HYPERVISOR_START);
}

TEST(hypervisor_execute, "The hypervisor's memory cannot be executed.")
{
    check_unreachable(access_call, HYPERVISOR_START);
}

/* --- Guard pages ---------------------------------------------------------------------------- */

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

TEST(stack_guard, "The page below each thread's stack is unmapped.")
{
    struct thread *t;

    REQUIRE_OK(thread_create(&t, NULL, guard_thread, NULL));
    CHECK_OK(thread_join(t, NULL));
    guard_thread(NULL);
}
