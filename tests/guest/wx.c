/*
 * Code made at run time, and that nothing is writable and executable.
 */
#include <errno.h>
#include <parvus.h>
#include <stdint.h>
#include <string.h>

#include "kernel/vm.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

/* For these tests, and others of this image. */
const bool parvus_makes_code = true;

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
