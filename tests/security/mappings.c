/*
 * Mappings that would be the way out: each refused, with the right error.
 *
 * Real Xen is the judge: these expectations were seen on Xen 4.17, except where needs_parvus says
 * that Xen has no such rule.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define LEVELS 4

/* The frame of the bootstrap table of a level that maps our spare pages. */
static mfn_t boot_table_frame(unsigned level)
{
    return (mfn_t){boot_entry_address(spare, level) >> PAGE_SHIFT};
}
static const char *needs_all_frames_listed(void)
{
    const char *host = getenv("TEST_HOST");

    if (host && strstr(host, "uefi"))
        return "UEFI keeps frames amid the RAM, which a dom0 may map";
    return host_is_xen() ? "a dom0 of Xen has frames that its list does not name" : NULL;
}

/* Calls fn for every frame of RAM that is not the domain's, above the first megabyte (which holds
 * device memory that a dom0 may map), but for the page that both sides share. */
static void for_foreign_frames(void (*fn)(mfn_t))
{
    static uint8_t ours[1 << 17]; /* a bit for each frame of 4 GiB */
    uint64_t end = last_frame() + 1;
    uint64_t shared = mfn_of_shared().n;

    if (end > sizeof(ours) * 8)
        end = sizeof(ours) * 8;
    memset(ours, 0, sizeof(ours));
    for (uint64_t pfn = 0; pfn < pv_boot.nr_pages; pfn++)
        if (pv_mfn((pfn_t){pfn}).n < end)
            ours[pv_mfn((pfn_t){pfn}).n / 8] |= (uint8_t)(1 << pv_mfn((pfn_t){pfn}).n % 8);
    for (uint64_t n = 0x100; n < end && !test_has_failed(); n++)
        if (!(ours[n / 8] >> n % 8 & 1) && n != shared)
            fn((mfn_t){n});
}

static unsigned nr_foreign;

static void check_map(uint64_t entry, long error)
{
    uint64_t at = boot_entry_address(spare[1], 1);

    CHECK_EQ(map_raw(spare[1], entry), error);
    CHECK_EQ(update_raw(at, MMU_NORMAL_PT_UPDATE, entry), error);
    CHECK_EQ(update_raw(at, MMU_PT_UPDATE_PRESERVE_AD, entry), error);
    access_write(spare[1]); /* still the page that it was */
}

TEST(map_table, "A page table can be mapped read-only, never writable.")
{
    for (unsigned level = 1; level <= LEVELS; level++) {
        mfn_t table = boot_table_frame(level);
        pfn_t frame;
        const uint64_t *entries = pv_boot_table((vaddr_t){address_of(spare)}, level, &frame);

        check_map(entry_for(table, ENTRY_DATA), -XEN_EBUSY);
        CHECK_OK(map_raw(spare[1], entry_for(table, ENTRY_CONSTANT)));
        CHECK_EQ(memcmp(spare[1], entries, PAGE_SIZE), 0);
        if (host_is_parvus()) /* Xen emulates writes to L1 tables */
            CHECK_PAGE_FAULT(access_write, spare[1], PF_PRESENT | PF_WRITE, spare[1]);
        restore_spare(1);
        access_write(spare[1]);
    }
}

static void map_foreign(mfn_t frame)
{
    nr_foreign++;
    if (map_raw(spare[1], entry_for(frame, ENTRY_DATA)) != -XEN_EPERM ||
        map_raw(spare[1], entry_for(frame, ENTRY_CONSTANT)) != -XEN_EPERM ||
        map_raw(spare[1], entry_for(frame, ENTRY_CODE)) != -XEN_EPERM)
        FAIL("frame 0x%lx", frame.n);
}

TEST_WHERE(map_hypervisor, "No frame of the hypervisor can be mapped, not even to be read.",
           needs_all_frames_listed)
{
    nr_foreign = 0;
    for_foreign_frames(map_foreign);
    CHECK_LT(16, nr_foreign); /* a hypervisor has some memory of its own */
    restore_spare(1);
}

static void write_foreign(mfn_t frame)
{
    if (update_raw(frame.n << PAGE_SHIFT, MMU_NORMAL_PT_UPDATE, 0) != -XEN_EPERM)
        FAIL("frame 0x%lx", frame.n);
}

TEST_WHERE(write_hypervisor, "No word of a frame of the hypervisor can be written by mmu_update.",
           needs_all_frames_listed)
{
    for_foreign_frames(write_foreign);
}

#define OTHER_DOMAIN 1234

TEST(map_foreign, "Another domain's frames, and those that no machine has, cannot be mapped.")
{
    uint64_t entry = entry_for(mfn_of_image(spare[1]), ENTRY_DATA);

    CHECK_EQ(hypercall(__HYPERVISOR_update_va_mapping_otherdomain, address_of(spare[1]), entry, 0,
                       OTHER_DOMAIN, 0),
             -XEN_ESRCH);
    for (uint64_t n = frame_beyond_all().n; n < 1ul << 40; n *= 2)
        check_map(entry_for((mfn_t){n}, ENTRY_DATA), -XEN_EPERM);
}

TEST(map_recursive, "A page table cannot contain itself: never writable; read-only on Xen alone.")
{
    for (unsigned level = 2; level <= LEVELS; level++) {
        mfn_t table = boot_table_frame(level);
        uint64_t slot = (table.n << PAGE_SHIFT) + unused_entry(level) * 8;

        CHECK_EQ(update_raw(slot, 0, entry_for(table, ENTRY_TABLE)), -XEN_EINVAL);
        if (host_is_parvus()) /* what ring 0 could be made to read by it is too much */
            CHECK_EQ(update_raw(slot, 0, entry_for(table, PV_PTE_PRESENT | PV_PTE_USER)),
                     -XEN_EINVAL);
    }
}

TEST_WHERE(map_wx, "No page can be mapped writable and executable.", needs_parvus)
{
    check_map(entry_for(mfn_of_image(spare[1]), ENTRY_CODE | PV_PTE_WRITE), -XEN_EINVAL);
    CHECK_EQ(
        map_raw(spare[2], entry_for(mfn_of_image((const void *)(uintptr_t)check_map), ENTRY_DATA)),
        -XEN_EINVAL); /* executable in the image */
}

TEST(map_non_canonical, "Addresses that are none, or the hypervisor's, cannot be mapped.")
{
    static const uint64_t addresses[] = {
        0x800000000000,     0xffff7fffffffffff, 0xffff800000000000, 0xffff82d040200000,
        0xffff830000000000, 0xffff87fffffff000, 0x123456789abcd000, 0x7fffffff0000,
        0xffffffff80000000, 0xffff880000000000, /* and those without a table */
    };
    uint64_t entry = entry_for(mfn_of_image(spare[1]), ENTRY_CONSTANT);

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        if (map_raw((const void *)addresses[i], entry) != -XEN_EINVAL ||
            map_raw((const void *)addresses[i], 0) != -XEN_EINVAL)
            FAIL("address 0x%lx", addresses[i]);
    }
}
