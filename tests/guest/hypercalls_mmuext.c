/*
 * mmuext_op: pinning, base pointers, page contents, with frames that do not qualify; and tables of
 * the guest's own, from frame to page table and back.
 */
#include "tests/guest/hypercall.h"

#include <string.h>

#include "tests/guest/test.h"

static const unsigned pin_commands[] = {MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                        MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};

static long pin(unsigned level, mfn_t frame)
{
    return mmuext_raw(pin_commands[level - 1], frame.n, 0);
}

static long unpin(mfn_t frame)
{
    return mmuext_raw(MMUEXT_UNPIN_TABLE, frame.n, 0);
}

static mfn_t boot_table_frame(unsigned level)
{
    return (mfn_t){boot_entry_address(spare, level) >> PAGE_SHIFT};
}

/* A spare page becomes read-only, so that it can become a table; or what it was. */
static void make_read_only(unsigned i)
{
    CHECK_OK(map_raw(spare[i], entry_for(mfn_of_image(spare[i]), ENTRY_CONSTANT)));
}

TEST(mmuext_pointers, "Operations that cannot be read are refused with -EFAULT.")
{
    struct mmuext_op *op = open_edge(sizeof(*op));
    uint32_t done = 99;

    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (!CHECK_EQ(hypercall(__HYPERVISOR_mmuext_op, bad->address, 1, address_of(&done),
                                DOMID_SELF, 0),
                      -XEN_EFAULT))
            FAIL("%s", bad->name);
    REQUIRE(op);
    *op = (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    CHECK_OK(hypercall(__HYPERVISOR_mmuext_op, address_of(op), 1, 0, DOMID_SELF, 0));
    CHECK_EQ(hypercall(__HYPERVISOR_mmuext_op, address_of(op), 2, address_of(&done), DOMID_SELF, 0),
             -XEN_EFAULT);
    CHECK_EQ(done, 1);
    close_edge();
}

TEST(mmuext_unknown, "Commands that are none are refused.")
{
    static const unsigned unknown[] = {21, 50, 0x7fffffff, 0xffffffff};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CHECK_EQ(mmuext_raw(unknown[i], 0, 0), -XEN_ENOSYS);
}

TEST(mmuext_pin_garbage, "Frames that are no tables cannot be pinned as tables of any level.")
{
    const mfn_t frames[] = {
        mfn_of_image(spare[0]), /* writable */
        {last_frame() + 1},     {0xfffffffff}, {1ul << 40}, {~0ul},
    };

    for (unsigned level = 1; level <= 4; level++)
        for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
            if (pin(level, frames[i]) != -XEN_EINVAL)
                FAIL("level %u, frame 0x%lx", level, frames[i].n);
    access_write(spare[0]);
}

TEST(mmuext_pin_contents, "A page with entries that are not allowed does not become a table.")
{
    const uint64_t refused[] = {
        entry_for(boot_table_frame(1), ENTRY_DATA), /* writable page tables */
        entry_for(boot_table_frame(4), ENTRY_DATA),
        entry_for(mfn_of_image(spare[1]), ENTRY_DATA), /* itself, writable */
        entry_for(frame_beyond_all(), ENTRY_DATA),
    };
    uint64_t *entries = (uint64_t *)spare[1];
    mfn_t table = mfn_of_image(spare[1]);

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        memset(entries, 0, PAGE_SIZE);
        entries[0] = entry_for(mfn_of_image(spare[2]), ENTRY_DATA); /* a good one before it */
        entries[511] = refused[i];
        make_read_only(1);
        if (pin(1, table) >= 0)
            FAIL("entry %zu", i);
        restore_spare(1); /* it did not become one, by halves either */
        access_write(spare[1]);
    }
    /* Random bytes, as a table of each level. */
    struct random random = RANDOM(17);
    for (unsigned level = 1; level <= 4; level++) {
        for (size_t i = 0; i < PAGE_SIZE / 8; i++)
            entries[i] = (uint64_t)random_next(&random) << 32 | random_next(&random) | 1;
        make_read_only(1);
        CHECK_LT(pin(level, table), 0);
        restore_spare(1);
    }
    memset(entries, 0, PAGE_SIZE);
}

TEST(mmuext_table_life, "A page becomes a table when pinned, maps what it says, and a page again.")
{
    mfn_t table = mfn_of_image(spare[1]);
    uint64_t *entries = (uint64_t *)spare[1];
    /* A 2 MiB range of addresses that nothing uses. */
    uint64_t slot = (boot_entry_address(spare, 2) & -PAGE_SIZE) + unused_entry(2) * 8;
    volatile uint8_t *window =
        (uint8_t *)((address_of(spare) & -(1ul << 30)) + unused_entry(2) * (2ul << 20)) +
        5 * PAGE_SIZE;

    memset(entries, 0, PAGE_SIZE);
    entries[5] = entry_for(mfn_of_image(spare[2]), ENTRY_DATA);
    spare[2][100] = 42;
    CHECK_EQ(pin(1, table), -XEN_EINVAL); /* still writable */
    make_read_only(1);
    REQUIRE_OK(pin(1, table));
    CHECK_EQ(pin(1, table), -XEN_EINVAL); /* twice */
    CHECK_EQ(pin(2, table), -XEN_EINVAL);
    CHECK_EQ(map_raw(spare[1], entry_for(table, ENTRY_DATA)), -XEN_EBUSY);

    CHECK_OK(update_raw(slot, 0, entry_for(table, ENTRY_TABLE)));
    CHECK_EQ(window[100], 42);
    window[101] = 43;
    CHECK_EQ(*(volatile uint8_t *)&spare[2][101], 43);
    CHECK_OK(update_raw((table.n << PAGE_SHIFT) + 5 * 8, 0, 0));
    CHECK_OK(mmuext_raw(MMUEXT_INVLPG_LOCAL, address_of(window), 0));
    CHECK_PAGE_FAULT(access_read, (void *)(uintptr_t)window, 0, window);

    CHECK_OK(unpin(table));
    CHECK_EQ(unpin(table), -XEN_EINVAL);
    CHECK_EQ(map_raw(spare[1], entry_for(table, ENTRY_DATA)), -XEN_EBUSY); /* still in the L2 */
    CHECK_OK(update_raw(slot, 0, 0));
    CHECK_OK(mmuext_raw(MMUEXT_TLB_FLUSH_LOCAL, 0, 0));
    restore_spare(1);
    access_write(spare[1]);
}

TEST(mmuext_unpin_garbage, "What is not pinned cannot be unpinned.")
{
    CHECK_EQ(unpin(mfn_of_image(spare[0])), -XEN_EINVAL);
    CHECK_EQ(unpin(boot_table_frame(1)), -XEN_EINVAL); /* in use, but not pinned */
    CHECK_EQ(unpin((mfn_t){last_frame() + 1}), -XEN_EINVAL);
    CHECK_EQ(unpin((mfn_t){0xfffffffff}), -XEN_EINVAL);
    CHECK_EQ(unpin((mfn_t){~0ul}), -XEN_EINVAL);
    access_write(spare[0]);
}

TEST(mmuext_base_garbage, "Only an L4 table can become the base of the address space.")
{
    CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, mfn_of_image(spare[0]).n, 0), -XEN_EINVAL);
    for (unsigned level = 1; level < 4; level++)
        CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, boot_table_frame(level).n, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, last_frame() + 1, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, 0xfffffffff, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_NEW_BASEPTR, ~0ul, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_NEW_USER_BASEPTR, mfn_of_image(spare[0]).n, 0), -XEN_EINVAL);
    CHECK_OK(mmuext_raw(MMUEXT_NEW_BASEPTR, boot_table_frame(4).n, 0)); /* what it is already */
}

TEST(mmuext_base_copy,
     "A copy of the root table can take its place; the hypervisor fills its slots.")
{
    mfn_t root = boot_table_frame(4), copy = mfn_of_image(spare[1]);
    uint64_t *entries = (uint64_t *)spare[1];
    pfn_t frame;

    memcpy(entries, pv_boot_table((vaddr_t){address_of(spare)}, 4, &frame), PAGE_SIZE);
    for (unsigned slot = 256; slot < 272; slot++)
        entries[slot] = entries[0]; /* must be ignored: they would map us over the hypervisor */
    make_read_only(1);
    REQUIRE_OK(pin(4, copy));
    for (unsigned slot = 256; slot < 272; slot++)
        CHECK(!((volatile uint64_t *)entries)[slot] ||
              (((volatile uint64_t *)entries)[slot] ^ entries[0]) & PV_PTE_FRAME);
    CHECK_OK(mmuext_raw(MMUEXT_NEW_BASEPTR, copy.n, 0));
    spare[2][0] = 9;
    CHECK_EQ(map_raw(spare[1], entry_for(copy, ENTRY_DATA)), -XEN_EBUSY);
    CHECK_EQ(map_raw(spare[1], entry_for(root, ENTRY_DATA)), -XEN_EBUSY);
    sleep_ms(1); /* events arrive here as well */
    CHECK_OK(mmuext_raw(MMUEXT_NEW_BASEPTR, root.n, 0));
    CHECK_OK(unpin(copy));
    restore_spare(1);
    memset(entries, 0, PAGE_SIZE);
}

TEST(mmuext_page_contents, "Pages are cleared and copied; tables and foreign frames are not.")
{
    mfn_t page = mfn_of_image(spare[1]), other = mfn_of_image(spare[2]);

    memset(spare[1], 0x11, PAGE_SIZE);
    memset(spare[2], 0x22, PAGE_SIZE);
    CHECK_OK(mmuext_raw(MMUEXT_COPY_PAGE, page.n, other.n));
    CHECK_EQ(memcmp(spare[1], spare[2], PAGE_SIZE), 0);
    CHECK_OK(mmuext_raw(MMUEXT_CLEAR_PAGE, page.n, 0));
    for (size_t i = 0; i < PAGE_SIZE; i++)
        CHECK_EQ(*(volatile uint8_t *)&spare[1][i], 0);

    for (unsigned level = 1; level <= 4; level++) {
        mfn_t table = boot_table_frame(level);

        CHECK_EQ(mmuext_raw(MMUEXT_CLEAR_PAGE, table.n, 0), -XEN_EINVAL);
        CHECK_EQ(mmuext_raw(MMUEXT_COPY_PAGE, table.n, page.n), -XEN_EINVAL);
    }
    static const uint64_t bad[] = {0xfffffffff, 1ul << 40, ~0ul};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(mmuext_raw(MMUEXT_CLEAR_PAGE, bad[i], 0), -XEN_EINVAL);
        CHECK_EQ(mmuext_raw(MMUEXT_COPY_PAGE, page.n, bad[i]), -XEN_EINVAL);
        CHECK_EQ(mmuext_raw(MMUEXT_COPY_PAGE, bad[i], page.n), -XEN_EINVAL);
    }
    CHECK_EQ(mmuext_raw(MMUEXT_CLEAR_PAGE, last_frame() + 1, 0), -XEN_EINVAL);
}

TEST(mmuext_ldt, "A descriptor table at odd addresses, or too large, is refused.")
{
    CHECK_OK(mmuext_raw(MMUEXT_SET_LDT, 0, 0));
    CHECK_EQ(mmuext_raw(MMUEXT_SET_LDT, address_of(spare[0]) + 8, 10), -XEN_EINVAL); /* unaligned */
    CHECK_EQ(mmuext_raw(MMUEXT_SET_LDT, address_of(spare[0]), 8193), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_SET_LDT, 0xffff830000000000, 10), -XEN_EINVAL);
}

TEST(mmuext_flush, "TLB flushes of any address succeed.")
{
    static const uint64_t addresses[] = {0, 0x400000, 0x800000000000, 0xffff830000000000, ~0ul};

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        CHECK_OK(mmuext_raw(MMUEXT_INVLPG_LOCAL, addresses[i], 0));
        CHECK_OK(mmuext_raw(MMUEXT_INVLPG_ALL, addresses[i], 0));
    }
    CHECK_OK(mmuext_raw(MMUEXT_TLB_FLUSH_LOCAL, 0, 0));
    CHECK_OK(mmuext_raw(MMUEXT_TLB_FLUSH_ALL, 0, 0));
    if (pv_boot.initial_domain) /* others need a device for it */
        CHECK_OK(mmuext_raw(MMUEXT_FLUSH_CACHE, 0, 0));
}

TEST(mmuext_linear, "The root table mapped by itself: never writable; read-only on Xen alone.")
{
    mfn_t root = boot_table_frame(4);
    uint64_t index = unused_entry(4);
    uint64_t slot = (root.n << PAGE_SHIFT) + index * 8;

    CHECK_EQ(update_raw(slot, 0, entry_for(root, ENTRY_TABLE)), -XEN_EINVAL);
    long result = update_raw(slot, 0, entry_for(root, PV_PTE_PRESENT | PV_PTE_USER));
    if (host_is_xen()) {
        /* A window on all page tables: the root shows itself in the middle of it. */
        const volatile uint64_t *entries =
            (const uint64_t *)(index << 39 | index << 30 | index << 21 | index << 12);

        REQUIRE_OK(result);
        CHECK_EQ(entries[index] & PV_PTE_FRAME, root.n << PAGE_SHIFT);
        CHECK_PAGE_FAULT(access_write, (void *)(uintptr_t)entries, PF_PRESENT | PF_WRITE, entries);
        CHECK_OK(update_raw(slot, 0, 0));
    } else {
        CHECK_EQ(result, -XEN_EINVAL); /* what ring 0 could be made to read by it is too much */
    }
}
