/*
 * Code made at run time, privileged instructions in it, and that nothing is writable and
 * executable.
 *
 * The linked guest may hold no privileged instruction (tools/check/privileged), so these are bytes
 * that are copied to a page which is made executable afterwards.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/physdev.h>

#include "kernel/vm.h"
#include "pv/pv.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define MAX_CODE_BYTES 16

/* A page with these instructions and a return behind them, executable. */
static void *make_code(const uint8_t *bytes, size_t count)
{
    static const uint8_t ret = 0xc3;
    void *page;

    if (!CHECK_OK(vm_map(&page, PAGE_SIZE, VM_READ | VM_WRITE, "code")))
        return NULL;
    memcpy(page, bytes, count);
    memcpy((uint8_t *)page + count, &ret, 1);
    if (CHECK_OK(vm_protect(page, PAGE_SIZE, VM_READ | VM_EXEC)))
        return page;
    CHECK_OK(vm_unmap(page, PAGE_SIZE));
    return NULL;
}

static const struct {
    const char *name;
    uint8_t count;
    uint8_t bytes[MAX_CODE_BYTES];
    bool xen_emulates; /* for its PV guests, as their kernels used to contain it */
} privileged[] = {
    {"hlt", 1, {0xf4}, false},
    {"cli", 1, {0xfa}, true},
    {"sti", 1, {0xfb}, true},
    {"lgdt (%rsp)", 4, {0x0f, 0x01, 0x14, 0x24}, false},
    {"lidt (%rsp)", 4, {0x0f, 0x01, 0x1c, 0x24}, false},
    {"lldt %ax", 3, {0x0f, 0x00, 0xd0}, false},
    {"ltr %ax", 3, {0x0f, 0x00, 0xd8}, false},
    {"lmsw %ax", 3, {0x0f, 0x01, 0xf0}, true},
    {"clts", 2, {0x0f, 0x06}, true},
    {"mov %cr0, %rax", 3, {0x0f, 0x20, 0xc0}, true},
    {"mov %rax, %cr0", 3, {0x0f, 0x22, 0xc0}, true},
    {"mov %cr2, %rax", 3, {0x0f, 0x20, 0xd0}, true},
    {"mov %cr3, %rax", 3, {0x0f, 0x20, 0xd8}, true},
    {"mov %rax, %cr3", 3, {0x0f, 0x22, 0xd8}, true},
    {"mov %cr4, %rax", 3, {0x0f, 0x20, 0xe0}, true},
    {"mov %rax, %cr4", 3, {0x0f, 0x22, 0xe0}, true},
    {"mov %cr8, %rax", 4, {0x44, 0x0f, 0x20, 0xc0}, true},
    {"mov %db7, %rax", 3, {0x0f, 0x21, 0xf8}, true},
    {"mov %rax, %db7", 3, {0x0f, 0x23, 0xf8}, true},
    {"mov $0x174, %ecx; rdmsr", 7, {0xb9, 0x74, 0x01, 0x00, 0x00, 0x0f, 0x32}, true},
    {"mov $0x174, %ecx; wrmsr", 7, {0xb9, 0x74, 0x01, 0x00, 0x00, 0x0f, 0x30}, true},
    {"invlpg (%rsp)", 4, {0x0f, 0x01, 0x3c, 0x24}, true},
    {"invd", 2, {0x0f, 0x08}, true},
    {"wbinvd", 2, {0x0f, 0x09}, true},
    {"swapgs", 3, {0x0f, 0x01, 0xf8}, false},
    {"sysretq", 3, {0x48, 0x0f, 0x07}, false},
    {"in $0x60, %al", 2, {0xe4, 0x60}, true},
    {"in (%dx), %eax", 6, {0x66, 0xba, 0xf8, 0x0c, 0xed, 0x90}, true},
    {"out %al, $0x80", 2, {0xe6, 0x80}, true},
    {"insb", 5, {0x66, 0xba, 0x60, 0x00, 0x6c}, true},
    {"outsb", 5, {0x66, 0xba, 0x80, 0x00, 0x6e}, true},
};

static long allow_ports(uint32_t level)
{
    struct physdev_set_iopl set = {.iopl = level};

    return hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, address_of(&set), 0, 0, 0);
}

TEST(privileged_instructions, "Each privileged instruction raises #GP and does nothing else.")
{
    /* Looking for a PCI bus, the kernel asked for the ports. */
    if (!host_is_xen())
        CHECK_EQ(allow_ports(0), 0);
    for (size_t i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
        if (host_is_xen() && privileged[i].xen_emulates)
            continue;
        void *code = make_code(privileged[i].bytes, privileged[i].count);

        REQUIRE(code);
        struct fault fault;
        if (!fault_catch(access_call, code, &fault))
            FAIL("%s: no exception", privileged[i].name);
        else if (fault.vector != TRAP_GENERAL_PROTECTION)
            FAIL("%s: exception %u", privileged[i].name, fault.vector);
        CHECK_OK(vm_unmap(code, PAGE_SIZE));
    }
    CHECK_EQ(allow_ports(1), 0);
}

TEST_WHERE(privileged_int, "int n without a handler raises #GP with the vector as its error code.",
           needs_syscall_into_ring0)
{
    static const uint8_t vectors[] = {0x20, 0x42, 0x80, 0xef, 0xff};

    for (size_t i = 0; i < sizeof(vectors); i++) {
        const uint8_t bytes[] = {0xcd, vectors[i]};
        void *code = make_code(bytes, sizeof(bytes));
        struct fault fault;

        REQUIRE(code);
        if (test_faults(__FILE__, __LINE__, access_call, code, TRAP_GENERAL_PROTECTION, &fault)) {
            /* Below Xen on QEMU's TCG it counts in gates of 16 bytes instead of 8. */
            if (!host_is_xen() || fault.error_code != (uint64_t)(vectors[i] << 4 | 2))
                CHECK_EQ(fault.error_code, vectors[i] << 3 | 2);
            CHECK_EQ(fault.rip, (uintptr_t)code);
        }
        CHECK_OK(vm_unmap(code, PAGE_SIZE));
    }
}

TEST(wx_code, "Code is written, then made executable: never both, and the change takes effect.")
{
    static const uint8_t give_7[] = {0xb8, 7, 0, 0, 0}, give_8 = 8; /* mov $7, %eax */
    int (*code)(void) = (int (*)(void))(uintptr_t)make_code(give_7, sizeof(give_7));
    uint8_t *bytes = (uint8_t *)(uintptr_t)code;

    REQUIRE(code);
    CHECK_EQ(code(), 7);
    for (int i = 0; i < 20; i++) {
        CHECK_PAGE_FAULT(access_write, bytes + 1, PF_PRESENT | PF_WRITE, bytes + 1);
        CHECK_OK(vm_protect(bytes, PAGE_SIZE, VM_READ | VM_WRITE));
        bytes[1] = (uint8_t)(give_8 + i);
        CHECK_PAGE_FAULT(access_call, bytes, PF_PRESENT | PF_FETCH, bytes);
        CHECK_OK(vm_protect(bytes, PAGE_SIZE, VM_READ | VM_EXEC));
        CHECK_EQ(code(), give_8 + i);
    }
    CHECK_OK(vm_unmap(bytes, PAGE_SIZE));
}
