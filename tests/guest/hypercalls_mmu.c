/*
 * mmu_update and update_va_mapping misused: every way to reach what is not the guest's to write.
 *
 * Real Xen is the judge: these expectations were seen on Xen 4.17, except where needs_parvus says
 * that Xen has no such rule.
 */
#include "tests/guest/hypercall.h"

#include <stdlib.h>
#include <string.h>

#include "pv/abi.h"
#include "tests/guest/test.h"

#define L1_SLOTS 512
#define LEVELS 4

/* No machine has RAM there. */
static const uint64_t frames_out_of_range[] = {0xfffffffff, 0x8000000000, 0xffffffffff};

static long mmu_update(uint64_t requests, uint64_t count, uint64_t done, uint64_t domain)
{
    return hypercall(__HYPERVISOR_mmu_update, requests, count, done, domain, 0);
}

/* The frame of the bootstrap table of a level that maps our spare pages. */
static mfn_t boot_table_frame(unsigned level)
{
    return (mfn_t){boot_entry_address(spare, level) >> PAGE_SHIFT};
}

/* Spare page 0 must still be what it was. */
static void check_untouched(void)
{
    spare[0][7] = 0x77;
    CHECK_EQ(*(volatile uint8_t *)&spare[0][7], 0x77);
    CHECK_EQ(entry_of(spare[0]) & PV_PTE_FRAME, mfn_of_image(spare[0]).n << PAGE_SHIFT);
}

/* --- The request itself --------------------------------------------------------------------- */

TEST(mmu_pointers, "Requests that cannot be read are refused with -EFAULT, and none is done.")
{
    uint32_t done = 99;

    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++) {
        if (!CHECK_EQ(mmu_update(bad->address, 1, address_of(&done), DOMID_SELF), -XEN_EFAULT) ||
            !CHECK_EQ(mmu_update(bad->address, 1, 0, DOMID_SELF), -XEN_EFAULT))
            FAIL("%s", bad->name);
    }
    CHECK_OK(mmu_update(0, 0, 0, DOMID_SELF));
}

TEST(mmu_straddling, "A list that runs into an unmapped page is done as far as it goes.")
{
    struct mmu_update *update = open_edge(sizeof(*update));
    uint64_t entry = entry_of(spare[0]);
    uint32_t done = 99;

    REQUIRE(update);
    *update = (struct mmu_update){boot_entry_address(spare[0], 1), entry};
    CHECK_EQ(mmu_update(address_of(update), 2, address_of(&done), DOMID_SELF), -XEN_EFAULT);
    CHECK_EQ(done, 1);
    done = 99;
    CHECK_EQ(mmu_update(address_of(update) + 8, 1, address_of(&done), DOMID_SELF), -XEN_EFAULT);
    CHECK_EQ(done, 0);
    CHECK_LT(mmu_update(address_of(update), 0x7fffffff, 0, DOMID_SELF), 0);
    close_edge();
    check_untouched();
}

TEST(mmu_done_read_only, "The count of what was done is not written where the guest cannot write.")
{
    static const uint32_t constant = 55;
    struct mmu_update update = {boot_entry_address(spare[0], 1), entry_of(spare[0])};

    mmu_update(address_of(&update), 1, address_of(&constant), DOMID_SELF);
    CHECK_EQ(*(const volatile uint32_t *)&constant, 55);
    mmu_update(address_of(&update), 1, 0xffff830000000000, DOMID_SELF);
    check_untouched();
}

TEST(mmu_domain, "Another domain's memory is refused with -ESRCH.")
{
    struct mmu_update update = {boot_entry_address(spare[0], 1), 0};

    CHECK_EQ(mmu_update(address_of(&update), 1, 0, 1234), -XEN_ESRCH);
    CHECK_EQ(
        hypercall(__HYPERVISOR_update_va_mapping_otherdomain, address_of(spare[0]), 0, 0, 1234, 0),
        -XEN_ESRCH);
    CHECK_EQ(hypercall(__HYPERVISOR_mmuext_op, address_of(spare[0]), 1, 0, 1234, 0), -XEN_ESRCH);
    check_untouched();
}

TEST(mmu_kinds, "Commands that are none are refused.")
{
    for (unsigned kind = 4; kind < 8; kind++)
        CHECK_EQ(update_raw(boot_entry_address(spare[0], 1), kind, 0), -XEN_ENOSYS);
    check_untouched();
}

/* --- Where an entry is written -------------------------------------------------------------- */

TEST(mmu_target_out_of_range, "An entry in a frame that the machine does not have is refused.")
{
    CHECK_EQ(update_raw((last_frame() + 1) << PAGE_SHIFT, 0, 0), -XEN_EINVAL);
    for (size_t i = 0; i < sizeof(frames_out_of_range) / sizeof(frames_out_of_range[0]); i++) {
        CHECK_EQ(update_raw(frames_out_of_range[i] << PAGE_SHIFT, 0, 0), -XEN_EINVAL);
        CHECK_EQ(update_raw(frames_out_of_range[i] << PAGE_SHIFT, MMU_MACHPHYS_UPDATE, 0),
                 -XEN_EINVAL);
    }
    CHECK_EQ(update_raw(~0ul & ~7ul, 0, 0), -XEN_EINVAL);
}

TEST(mmu_target_hypervisor_slots, "The hypervisor's slots of the root table cannot be changed.")
{
    uint64_t root = boot_table_frame(4).n << PAGE_SHIFT;
    uint64_t l3 = entry_for(boot_table_frame(3), ENTRY_TABLE);

    for (uint64_t slot = 256; slot < 272; slot++) {
        CHECK_EQ(update_raw(root + slot * 8, 0, 0), -XEN_EINVAL);
        CHECK_EQ(update_raw(root + slot * 8, 0, l3), -XEN_EINVAL);
        CHECK_EQ(update_raw(root + slot * 8, MMU_PT_UPDATE_PRESERVE_AD, l3), -XEN_EINVAL);
    }
}

TEST(mmu_target_data, "A word of a writable data page can be written this way.")
{
    memset(spare[1], 0, PAGE_SIZE);
    CHECK_OK(update_raw((mfn_of_image(spare[1]).n << PAGE_SHIFT) + 16, 0, 0x1234567890abcdef));
    CHECK_EQ(((volatile uint64_t *)spare[1])[2], 0x1234567890abcdef);
    CHECK_EQ(((volatile uint64_t *)spare[1])[1], 0);
    CHECK_EQ(((volatile uint64_t *)spare[1])[3], 0);
}

static void code(void) {}

TEST_WHERE(mmu_target_text, "A word of executable memory cannot be written.", needs_parvus)
{
    const volatile uint64_t *text = (const uint64_t *)(address_of(code) & ~7ul);
    uint64_t machine_address = (mfn_of_image(text).n << PAGE_SHIFT) + address_of(text) % PAGE_SIZE;
    uint64_t before = *text;

    CHECK_EQ(update_raw(machine_address, 0, ~before), -XEN_EINVAL);
    CHECK_EQ(*text, before);
    CHECK_EQ(mmuext_raw(MMUEXT_CLEAR_PAGE, machine_address >> PAGE_SHIFT, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_COPY_PAGE, machine_address >> PAGE_SHIFT, mfn_of_image(spare[0]).n),
             -XEN_EINVAL);
    CHECK_EQ(*text, before);
}

/* --- What an entry says --------------------------------------------------------------------- */

TEST(mmu_upper_bits, "Entries of upper levels: large pages and odd frames are refused.")
{
    uint64_t data = entry_for(mfn_of_image(spare[1]), ENTRY_TABLE);

    for (unsigned level = 2; level <= LEVELS; level++) {
        uint64_t at = boot_entry_address(spare, level) & -PAGE_SIZE;
        uint64_t slot = at + unused_entry(level) * 8;
        uint64_t table = entry_for(boot_table_frame(level - 1), ENTRY_TABLE);
        uint64_t same = entry_for(boot_table_frame(level), ENTRY_TABLE);

        CHECK_EQ(update_raw(slot, 0, table | 0x80), -XEN_EINVAL);      /* PSE */
        CHECK_EQ(update_raw(slot, 0, table | 0x10), -XEN_EINVAL);      /* PCD */
        CHECK_EQ(update_raw(slot, 0, data), -XEN_EINVAL);              /* writable elsewhere */
        CHECK_EQ(update_raw(slot, 0, same), -XEN_EINVAL);              /* a table of this level */
        CHECK_EQ(update_raw(slot, 0, table | 1ul << 51), -XEN_EINVAL); /* no such frame */
        CHECK_EQ(update_raw(slot, 0, entry_for(mfn_of_shared(), ENTRY_TABLE)),
                 -XEN_EINVAL);                /* no table */
        CHECK_OK(update_raw(slot, 0, table)); /* the right one, a second time */
        CHECK_OK(update_raw(slot, 0, 0));
    }
    access_write(spare[1]);
}

TEST_WHERE(mmu_wx, "No frame can be writable and executable, in one mapping or in two.",
           needs_parvus)
{
    uint64_t own = entry_for(mfn_of_image(spare[1]), 0);
    uint64_t text = entry_for(mfn_of_image((const void *)(uintptr_t)code), 0);
    const mfn_t device = {0xf0}; /* the ROM of every PC */

    CHECK_EQ(map_raw(spare[1], own | ENTRY_CODE | PV_PTE_WRITE), -XEN_EINVAL);
    CHECK_EQ(map_raw(spare[2], own | ENTRY_CODE), -XEN_EINVAL);  /* writable at spare[1] */
    CHECK_EQ(map_raw(spare[2], text | ENTRY_DATA), -XEN_EINVAL); /* executable in the image */
    CHECK_EQ(map_raw(spare[2], entry_for(mfn_of_shared(), ENTRY_CODE)), -XEN_EINVAL);
    CHECK_EQ(map_raw(spare[2], entry_for(device, ENTRY_CODE)), -XEN_EINVAL);
    CHECK_EQ(map_raw(spare[2], entry_for(device, ENTRY_CODE | PV_PTE_WRITE)), -XEN_EINVAL);
    CHECK_OK(map_raw(spare[2], entry_for(device, ENTRY_CONSTANT))); /* it is mapped otherwise */
    CHECK_OK(map_raw(spare[2], text | ENTRY_CODE));
    CHECK_OK(map_raw(spare[2], text | ENTRY_CONSTANT));
    restore_spare(2);
    CHECK_OK(map_raw(spare[2], own | ENTRY_DATA)); /* twice writable is fine */
    CHECK_EQ(map_raw(spare[1], own | ENTRY_CODE), -XEN_EINVAL);
    CHECK_OK(map_raw(spare[2], own | ENTRY_CONSTANT));
    CHECK_OK(map_raw(spare[1], own | ENTRY_CONSTANT));
    CHECK_OK(map_raw(spare[1], own | ENTRY_CODE)); /* writable nowhere now */
    CHECK_EQ(map_raw(spare[2], own | ENTRY_DATA), -XEN_EINVAL);
    CHECK_OK(map_raw(spare[1], own | ENTRY_CONSTANT));
    restore_spare(1);
    restore_spare(2);
}

TEST_WHERE(mmu_wx_tables, "Nor by a page table that was filled before it became one.", needs_parvus)
{
    uint64_t table = entry_for(mfn_of_image(spare[1]), 0);
    uint64_t *entries = (uint64_t *)spare[1];
    const uint64_t refused[] = {
        entry_for(mfn_of_image(spare[2]), ENTRY_CODE | PV_PTE_WRITE),
        entry_for(mfn_of_image(spare[2]), ENTRY_CODE),
        entry_for(mfn_of_image((const void *)(uintptr_t)code), ENTRY_DATA),
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        memset(entries, 0, PAGE_SIZE);
        entries[3] = entry_for(mfn_of_image(spare[3]), ENTRY_DATA);
        entries[77] = refused[i];
        CHECK_OK(map_raw(spare[1], table | ENTRY_CONSTANT));
        CHECK_EQ(mmuext_raw(MMUEXT_PIN_L1_TABLE, mfn_of_image(spare[1]).n, 0), -XEN_EINVAL);
        restore_spare(1);
    }
}

TEST_WHERE(mmu_seal_refused, "Only what is mapped, read-only and the domain's can be sealed.",
           needs_parvus)
{
    extern const char image_start[], image_text_start[], image_data_start[]; /* kernel/guest.lds */
    const uint64_t text = address_of(image_text_start), data = address_of(image_data_start);
    const uint64_t refused[][2] = {
        {text + 1, data},                            /* unaligned */
        {text, data - 1},                            /* likewise */
        {text, text},                                /* empty */
        {data, text},                                /* backwards */
        {address_of(image_start), data + PAGE_SIZE}, /* goes on where it is writable */
        {address_of(image_start) - PAGE_SIZE, data}, /* begins where nothing is mapped */
        {0, text},
        {0x400000000000, 0x400000001000},
        {text, PAGE_SIZE * ((uint64_t)PARVUS_SEAL_MAX_PAGES + 1) + text},
        {0x7ffffffff000, 0x800000000000},
        {0x800000000000, 0x800000001000},
        {0xffff800000000000, 0xffff800000001000},
        {0xffff830000100000, 0xffff830000101000},
        {address_of(pv_shared_page), address_of(pv_shared_page) + PAGE_SIZE},
        {0, -PAGE_SIZE},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (hypercall(PARVUS_HYPERCALL_SEAL, refused[i][0], refused[i][1], 0, 0, 0) != -XEN_EINVAL)
            FAIL("0x%lx-0x%lx", refused[i][0], refused[i][1]);
    /* Read-only here, but writable elsewhere. */
    CHECK_OK(map_raw(spare[1], entry_for(mfn_of_image(spare[2]), ENTRY_CONSTANT)));
    CHECK_EQ(hypercall(PARVUS_HYPERCALL_SEAL, address_of(spare[1]), address_of(spare[2]), 0, 0, 0),
             -XEN_EINVAL);
    restore_spare(1);
    /* Nothing was sealed by halves: what was read-only before the failing page can be writable. */
    CHECK_OK(map_raw(spare[1], entry_for(mfn_of_image(spare[1]), ENTRY_CONSTANT)));
    CHECK_EQ(hypercall(PARVUS_HYPERCALL_SEAL, address_of(spare[1]), address_of(spare[3]), 0, 0, 0),
             -XEN_EINVAL);
    restore_spare(1);
    access_write(spare[1]);
}

/* --- update_va_mapping ---------------------------------------------------------------------- */

TEST(va_mapping_effect, "A new mapping takes effect at once with invlpg, local or on all vCPUs.")
{
    static const unsigned long flushes[] = {UVMF_INVLPG | UVMF_LOCAL, UVMF_INVLPG | UVMF_ALL,
                                            UVMF_TLB_FLUSH | UVMF_LOCAL, UVMF_TLB_FLUSH | UVMF_ALL};
    volatile uint8_t *window = spare[1];

    spare[2][0] = 2;
    spare[3][0] = 3;
    for (size_t i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++) {
        for (unsigned page = 2; page <= 3; page++) {
            CHECK_OK(hypercall(__HYPERVISOR_update_va_mapping, address_of(spare[1]),
                               entry_for(mfn_of_image(spare[page]), ENTRY_CONSTANT), flushes[i], 0,
                               0));
            CHECK_EQ(*window, page);
        }
    }
    CHECK_OK(map_raw(spare[1], 0));
    CHECK_PAGE_FAULT(access_read, spare[1], 0, spare[1]);
    restore_spare(1);
}

TEST(mmu_preserve_ad, "PRESERVE_AD keeps accessed and dirty bits, a plain update does not.")
{
    const uint64_t ad = PV_PTE_ACCESSED | PV_PTE_DIRTY;
    uint64_t at = boot_entry_address(spare[1], 1);
    uint64_t entry = entry_for(mfn_of_image(spare[1]), ENTRY_DATA);

    CHECK_OK(map_raw(spare[1], entry | ad));
    CHECK_OK(update_raw(at, MMU_PT_UPDATE_PRESERVE_AD, entry));
    CHECK_EQ(entry_of(spare[1]) & ad, ad);
    CHECK_OK(map_raw(spare[1], entry));
    CHECK_EQ(entry_of(spare[1]) & ad, 0);
    access_write(spare[1]);
    CHECK_EQ(entry_of(spare[1]) & ad, ad);
}
