/*
 * The seal (pv/abi.h): this image is sealed since before its first constructor, as any is that does
 * not ask for the contrary (parvus.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm.h"
#include "pv/abi.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define RW (VM_READ | VM_WRITE)
#define LEVELS 4
#define ENTRIES 512

static const uint8_t rodata[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = {1};

static __attribute__((aligned(PAGE_SIZE))) int code(void)
{
    return 42;
}

static const void *text(void)
{
    return (const void *)(uintptr_t)code;
}

TEST(seal_new_code, "No memory becomes executable: not what is mapped, nor what was.")
{
    void *page;

    CHECK_EQ(vm_map(&page, PAGE_SIZE, VM_READ | VM_EXEC, "code"), -EPERM);
    REQUIRE_OK(vm_map(&page, PAGE_SIZE, RW, "code"));
    CHECK_EQ(vm_protect(page, PAGE_SIZE, VM_READ | VM_EXEC), -EPERM);
    CHECK_EQ(vm_protect(page, PAGE_SIZE, RW | VM_EXEC), -EACCES);
    access_write(page);
    CHECK_OK(vm_protect(page, PAGE_SIZE, VM_READ));
    CHECK_OK(vm_protect(page, PAGE_SIZE, RW));
    CHECK_OK(vm_unmap(page, PAGE_SIZE));
}

/* By each of the calls that write an entry; the page stays what it is. */
static void check_refused(const void *page, uint64_t entry, long error)
{
    uint64_t at = boot_entry_address(page, 1), before = entry_of(page);

    CHECK_EQ(map_raw(page, entry), error);
    CHECK_EQ(update_raw(at, MMU_NORMAL_PT_UPDATE, entry), error);
    CHECK_EQ(update_raw(at, MMU_PT_UPDATE_PRESERVE_AD, entry), error);
    /* As the second of a batch, for which there is a shorter way. */
    struct mmu_update updates[2] = {
        {boot_entry_address(spare[3], 1), entry_for(mfn_of_image(spare[3]), ENTRY_DATA)},
        {at, entry},
    };
    CHECK_EQ(hypercall(__HYPERVISOR_mmu_update, address_of(updates), 2, 0, DOMID_SELF, 0), error);
    CHECK_EQ(entry_of(page), before);
}

TEST_WHERE(seal_code_by_entry, "Nor by a page-table entry, for any frame, writable or not.",
           needs_parvus)
{
    uint64_t own = entry_for(mfn_of_image(spare[1]), 0);

    check_refused(spare[2], own | ENTRY_CODE, -XEN_EPERM);
    CHECK_OK(map_raw(spare[1], own | ENTRY_CONSTANT)); /* writable nowhere now */
    check_refused(spare[1], own | ENTRY_CODE, -XEN_EPERM);
    check_refused(spare[1], own | ENTRY_CODE | PV_PTE_WRITE, -XEN_EINVAL);
    check_refused(spare[1], entry_for(mfn_of_image(text()), ENTRY_CODE), -XEN_EPERM);
    check_refused(spare[1], entry_for(mfn_of_shared(), ENTRY_CODE), -XEN_EPERM);
    restore_spare(1);
}

TEST_WHERE(seal_code_by_table, "Nor by a page table that holds an executable entry already.",
           needs_parvus)
{
    uint64_t *entries = (uint64_t *)spare[1];
    const uint64_t refused[] = {
        entry_for(mfn_of_image(spare[2]), ENTRY_CODE), entry_for(mfn_of_image(text()), ENTRY_CODE),
        entry_for(mfn_of_image(rodata), ENTRY_CONSTANT), /* sealed: none comes */
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        memset(entries, 0, PAGE_SIZE);
        entries[77] = refused[i];
        CHECK_OK(map_raw(spare[2], entry_for(mfn_of_image(spare[2]), ENTRY_CONSTANT)));
        CHECK_OK(map_raw(spare[1], entry_for(mfn_of_image(spare[1]), ENTRY_CONSTANT)));
        CHECK_EQ(mmuext_raw(MMUEXT_PIN_L1_TABLE, mfn_of_image(spare[1]).n, 0), -XEN_EPERM);
        restore_spare(1);
        restore_spare(2);
    }
}

TEST_WHERE(seal_image, "Code and constants keep their place, protection and contents.",
           needs_parvus)
{
    const void *const sealed[] = {text(), rodata};

    for (size_t i = 0; i < 2; i++) {
        uint64_t own = entry_for(mfn_of_image(sealed[i]), 0);

        check_refused(sealed[i], 0, -XEN_EPERM);
        check_refused(sealed[i], own | ENTRY_DATA, -XEN_EPERM);
        check_refused(sealed[i], own | ENTRY_CONSTANT, -XEN_EPERM);
        check_refused(sealed[i], own | ENTRY_CODE, -XEN_EPERM);
        check_refused(sealed[i], entry_for(mfn_of_image(spare[1]), ENTRY_DATA), -XEN_EPERM);
        /* Nor through another address. */
        check_refused(spare[1], own | ENTRY_DATA, -XEN_EINVAL);
        check_refused(spare[1], own | ENTRY_CONSTANT, -XEN_EPERM);
        CHECK_EQ(update_raw(own & PV_PTE_FRAME, MMU_NORMAL_PT_UPDATE, 0), -XEN_EINVAL);
        CHECK_EQ(mmuext_raw(MMUEXT_CLEAR_PAGE, own >> PAGE_SHIFT, 0), -XEN_EINVAL);
        for (unsigned command = MMUEXT_PIN_L1_TABLE; command <= MMUEXT_UNPIN_TABLE; command++)
            CHECK_EQ(mmuext_raw(command, own >> PAGE_SHIFT, 0), -XEN_EINVAL);
    }
    CHECK_EQ(rodata[0], 1);
    CHECK_EQ(code(), 42);
}

TEST_WHERE(seal_tables, "The page tables that lead to them cannot be unhooked or replaced.",
           needs_parvus)
{
    mfn_t copy = mfn_of_image(spare[1]);

    for (unsigned level = 2; level <= LEVELS; level++) {
        uint64_t slot = boot_entry_address(text(), level);
        pfn_t frame;

        CHECK_EQ(update_raw(slot, MMU_NORMAL_PT_UPDATE, 0), -XEN_EPERM);
        /* An empty table in its place. */
        memset(spare[1], 0, PAGE_SIZE);
        CHECK_OK(map_raw(spare[1], entry_for(copy, ENTRY_CONSTANT)));
        CHECK_EQ(update_raw(slot, MMU_NORMAL_PT_UPDATE, entry_for(copy, ENTRY_TABLE)), -XEN_EPERM);
        restore_spare(1);
        /* Another base, which is the same but for one entry. */
        if (level == LEVELS) {
            memcpy(spare[1], pv_boot_table((vaddr_t){address_of(text())}, level, &frame),
                   PAGE_SIZE);
            CHECK_OK(map_raw(spare[1], entry_for(copy, ENTRY_CONSTANT)));
            REQUIRE_OK(mmuext_raw(MMUEXT_PIN_L4_TABLE, copy.n, 0));
            CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, copy.n, 0), -XEN_EPERM);
            CHECK_OK(mmuext_raw(MMUEXT_NEW_BASEPTR, pv_mfn(frame).n, 0)); /* what it is already */
            CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, copy.n, 0));
            restore_spare(1);
        }
    }
    CHECK_EQ(code(), 42);
}

TEST_WHERE(seal_alias, "A second way to the code, through its page table, is no way to execute it.",
           needs_parvus)
{
    pfn_t frame;
    uint64_t slot = (boot_entry_address(text(), 2) & -PAGE_SIZE) + (ENTRIES - 1) * 8;
    uint64_t mask = (ENTRIES << PAGE_SHIFT) - 1; /* what one L1 table maps */
    uintptr_t base = address_of(text()) & -(ENTRIES * ENTRIES * PAGE_SIZE);
    uint8_t *alias =
        (uint8_t *)(base + (ENTRIES - 1) * ENTRIES * PAGE_SIZE + (address_of(text()) & mask));

    pv_boot_table((vaddr_t){address_of(text())}, 1, &frame);
    REQUIRE_OK(update_raw(slot, MMU_NORMAL_PT_UPDATE, entry_for(pv_mfn(frame), ENTRY_TABLE)));
    CHECK_EQ(*alias, *(const uint8_t *)text());
    CHECK_PAGE_FAULT(access_call, alias, PF_PRESENT | PF_FETCH, alias);
    CHECK_PAGE_FAULT(access_write, alias, PF_PRESENT | PF_WRITE, alias);
    /* It leads to what is sealed, so it stays, like all that does. */
    CHECK_EQ(update_raw(slot, MMU_NORMAL_PT_UPDATE, 0), -XEN_EPERM);
}

TEST_WHERE(seal_for_good, "There is one seal, and no way back.", needs_parvus)
{
    CHECK_EQ(hypercall(PARVUS_HYPERCALL_SEAL, 0, 0, 0, 0, 0), -XEN_EPERM);
    CHECK_EQ(hypercall(PARVUS_HYPERCALL_SEAL, address_of(rodata), address_of(rodata) + PAGE_SIZE, 0,
                       0, 0),
             -XEN_EPERM);
    CHECK_OK(vm_seal());
}
