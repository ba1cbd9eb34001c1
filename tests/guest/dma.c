/*
 * Memory as devices see it, and device memory as we see it.
 */
#include "kernel/dma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

/* Whether the bytes at p are those at its machine address, through a mapping of that frame. */
static void check_address(const void *p)
{
    maddr_t at = dma_address(p);
    const char *window = (const char *)spare[0];

    REQUIRE_OK(map_raw(window, entry_for((mfn_t){at.n >> PAGE_SHIFT}, ENTRY_CONSTANT)));
    size_t rest = PAGE_SIZE - at.n % PAGE_SIZE;
    CHECK_EQ(memcmp(window + at.n % PAGE_SIZE, p, rest < 8 ? rest : 8), 0);
    restore_spare(0);
}

TEST(dma_address, "Image, stack, heap and mapped memory have the machine addresses where they are.")
{
    enum { PAGES = 300 };
    uint64_t on_stack = 0x1122334455667788;
    char *mapped;

    check_address("read-only data");
    check_address(&on_stack);
    check_address((const void *)(uintptr_t)dma_address);
    /* Large enough to reach beyond the memory that is mapped at boot, where there is that much. */
    char *block = malloc(PAGES * PAGE_SIZE);
    REQUIRE(block);
    REQUIRE_OK(vm_map((void **)&mapped, PAGES * PAGE_SIZE, VM_READ | VM_WRITE, "dma test"));
    for (size_t i = 0; i < PAGES && !test_has_failed(); i++) {
        memcpy(block + i * PAGE_SIZE, &(uint64_t){0xb10cb10c00000000 + i}, 8);
        memcpy(mapped + i * PAGE_SIZE + 3, &(uint64_t){0x3a3a3a3a00000000 + i}, 8);
        check_address(block + i * PAGE_SIZE);
        check_address(mapped + i * PAGE_SIZE + 3);
    }
    CHECK_OK(vm_unmap(mapped, PAGES * PAGE_SIZE));
    free(block);
}

TEST(dma_page, "A page for a device is a zeroed page of its own, and comes back.")
{
    uint64_t before = free_pages();
    char *first = dma_page(), *second = dma_page();

    REQUIRE(first && second);
    CHECK_EQ((uintptr_t)first % PAGE_SIZE, 0);
    CHECK_NE(dma_address(first).n, dma_address(second).n);
    for (size_t i = 0; i < PAGE_SIZE; i++)
        if (first[i] || second[i])
            FAIL("byte %zu is not zero", i);
    check_address(first);
    dma_page_free(first);
    dma_page_free(second);
    first = dma_page(); /* record pages were made at first; now there is nothing more to take */
    before = free_pages();
    second = dma_page();
    CHECK_EQ(free_pages(), before - 1);
    dma_page_free(second);
    CHECK_EQ(free_pages(), before);
    dma_page_free(first);
}

static const char *needs_dom0(void)
{
    return pv_boot.initial_domain ? NULL : "the domain may not use devices";
}

TEST_WHERE(vm_map_device, "Device memory is mapped at any start and size, and unmapped.",
           needs_dom0)
{
    static const struct {
        uint64_t start;
        size_t bytes;
    } areas[] = {{0xf0000, 1}, {0xf0ffc, 8}, {0xe0010, 0x20000 - 0x10}};
    struct vm_info info;
    volatile void *out;

    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
        maddr_t start = {areas[i].start};

        REQUIRE_OK(vm_map_device(start, areas[i].bytes, "rom", &out));
        CHECK_EQ((uintptr_t)out % PAGE_SIZE, start.n % PAGE_SIZE);
        (void)*(volatile uint8_t *)out;
        (void)((volatile uint8_t *)out)[areas[i].bytes - 1];
        vm_query((uintptr_t)out, &info);
        CHECK_EQ(info.prot, VM_READ | VM_WRITE);
        CHECK(info.name && strcmp(info.name, "rom") == 0);
        uint64_t free_before = free_pages();
        CHECK_OK(vm_unmap((void *)info.start, info.end - info.start));
        CHECK_GE(free_pages(), free_before);
        CHECK_LT(free_pages(), free_before + 2); /* a page table at most */
        CHECK_FAULT(access_read, (void *)info.start, TRAP_PAGE_FAULT);
    }
}

TEST_WHERE(vm_map_device_microvm, "The virtio-mmio slots of a microvm answer with their magic.",
           needs_dom0)
{
    const char *host = getenv("TEST_HOST");
    volatile void *slot;

    if (!host || !strstr(host, "microvm"))
        return;
    /* QEMU, hw/i386/microvm: eight or more slots of 512 bytes. */
    REQUIRE_OK(vm_map_device((maddr_t){0xfeb00200}, 0x200, "virtio-mmio", &slot));
    CHECK_EQ(*(volatile uint32_t *)slot, 0x74726976); /* virtio 1.2, 4.2.2: "virt" */
    CHECK_OK(vm_unmap((void *)((uintptr_t)slot & -PAGE_SIZE), PAGE_SIZE));
}

TEST_WHERE(vm_map_device_bad, "What is no address, or the hypervisor's own, is not mapped.",
           needs_dom0)
{
    static const struct {
        uint64_t start;
        size_t bytes;
        bool on_parvus_only; /* Xen lets its dom0 map them, but not write */
    } areas[] = {
        {0xf0000, 0, false},         {0xf0000, SIZE_MAX, false},
        {0xfffffffffffff, 2, false}, {1ull << 52, 1, false},
        {UINT64_MAX, 1, false},      {0xfee00000, PAGE_SIZE, false},
        {0xfec00000, 4, true},       {0xfebff000, 2 * PAGE_SIZE, true},
    };
    uint64_t before = free_pages();
    volatile void *out;

    for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
        if (!(areas[i].on_parvus_only && host_is_xen()) &&
            !CHECK_LT(vm_map_device((maddr_t){areas[i].start}, areas[i].bytes, "bad", &out), 0))
            FAIL("area %zu", i);
    CHECK_LT(vm_map_device((maddr_t){frame_beyond_all().n << PAGE_SHIFT}, 1, "bad", &out), 0);
    CHECK_GE(free_pages() + 4, before); /* a record page or two */
}
