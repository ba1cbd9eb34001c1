/*
 * See hypercall.h.
 */
#include "tests/guest/hypercall.h"

#include <cpuid.h>

#include <xen/memory.h>

#include "kernel/vm.h"
#include "tests/guest/test.h"

#define ENTRY_BYTES 32 /* of the hypercall page */

uint8_t spare[SPARE_PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

long hypercall(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    extern const char hypercall_page[];
    const char *target = hypercall_page + number * ENTRY_BYTES;
    long result;
    register uint64_t r10 asm("r10") = a4;
    register uint64_t r8 asm("r8") = a5;

    asm volatile("call *%[target]"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : [target] "r"(target)
                 : "memory", "rcx", "r11", "r9", "cc");
    return result;
}

long hypercall_by_multicall(uint64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                            uint64_t a5)
{
    struct multicall_entry call = {.op = number, .result = 12345, .args = {a1, a2, a3, a4, a5}};
    long error = hypercall(__HYPERVISOR_multicall, address_of(&call), 1, 0, 0, 0);

    return error ? error : (long)call.result;
}

static pfn_t pfn_of_image(const volatile void *address)
{
    return (pfn_t){(address_of(address) - address_of(pv_boot_address((pfn_t){0}))) >> PAGE_SHIFT};
}

mfn_t mfn_of_image(const volatile void *address)
{
    return pv_mfn(pfn_of_image(address));
}

uint64_t entry_of(const volatile void *address)
{
    pfn_t frame;
    const uint64_t *table = pv_boot_table((vaddr_t){address_of(address)}, 1, &frame);

    return table ? table[address_of(address) >> PAGE_SHIFT & 511] : 0;
}

mfn_t mfn_of_shared(void)
{
    return (mfn_t){(entry_of(pv_shared_page) & PV_PTE_FRAME) >> PAGE_SHIFT};
}

long map_raw(const volatile void *address, uint64_t entry)
{
    return hypercall(__HYPERVISOR_update_va_mapping, address_of(address), entry,
                     UVMF_INVLPG | UVMF_LOCAL, 0, 0);
}

void restore_spare(unsigned i)
{
    CHECK_OK(map_raw(spare[i], entry_for(mfn_of_image(spare[i]), ENTRY_DATA)));
}

long update_raw(uint64_t machine_address, unsigned kind, uint64_t value)
{
    struct mmu_update update = {.ptr = machine_address | kind, .val = value};
    uint32_t done = 99;
    long error = hypercall(__HYPERVISOR_mmu_update, address_of(&update), 1, address_of(&done),
                           DOMID_SELF, 0);

    CHECK_EQ(done, error == 0);
    return error;
}

long mmuext_raw(unsigned command, uint64_t arg1, uint64_t arg2)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = arg1, .arg2.src_mfn = arg2};
    uint32_t done = 99;
    long error =
        hypercall(__HYPERVISOR_mmuext_op, address_of(&op), 1, address_of(&done), DOMID_SELF, 0);

    CHECK_EQ(done, error == 0);
    return error;
}

uint64_t boot_entry_address(const volatile void *va, unsigned level)
{
    pfn_t frame;

    if (!pv_boot_table((vaddr_t){address_of(va)}, level, &frame))
        return 0;
    unsigned index = address_of(va) >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
    return (pv_mfn(frame).n << PAGE_SHIFT) + index * 8ul;
}

unsigned unused_entry(unsigned level)
{
    extern const uint8_t image_start[]; /* kernel/guest.lds: nothing is ever mapped below */
    unsigned index = address_of(image_start) >> (PAGE_SHIFT + 9 * (level - 1)) & 511;

    return level == 2 ? index - 1 : index ^ 1; /* one alone is in use in the tables above */
}

uint64_t last_frame(void)
{
    return (uint64_t)hypercall(__HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0, 0, 0, 0) - 1;
}

mfn_t frame_beyond_all(void)
{
    unsigned width = 36, ebx, ecx, edx;

    __get_cpuid(0x80000008, &width, &ebx, &ecx, &edx); /* SDM volume 2, CPUID */
    return (mfn_t){1ul << ((width & 0xff) - PAGE_SHIFT)};
}

const struct bad_pointer bad_pointers[] = {
    {"null", 0},
    {"unmapped", 0x1000},
    {"non-canonical", 0x800000000000},
    {"non-canonical, high", 0xffff7ffffffffff8},
    {"the hypervisor's first byte", 0xffff800000000000},
    {"the hypervisor's image on Xen", 0xffff82d040200000},
    {"the hypervisor's memory", 0xffff830000000000},
    {"the hypervisor's last bytes", 0xffff87fffffffff0},
    {"the last bytes of all", 0xfffffffffffffff8},
    {NULL, 0},
};

static char *edge;

void *open_edge(size_t bytes)
{
    if (!CHECK_OK(vm_map((void **)&edge, 2 * PAGE_SIZE, VM_READ | VM_WRITE, "edge")) ||
        !CHECK_OK(vm_unmap(edge + PAGE_SIZE, PAGE_SIZE)))
        return NULL;
    return edge + PAGE_SIZE - bytes;
}

void close_edge(void)
{
    CHECK_OK(vm_unmap(edge, PAGE_SIZE));
}
