/*
 * The balloon, and on Xen what it is for: frames that go back to the hypervisor and come again.
 */
#include "kernel/balloon.h"

#include <errno.h>
#include <string.h>

#include <xen/memory.h>

#include "kernel/clock.h"
#include "kernel/dma.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/fake_device.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define MOST 65536

static pfn_t frames[MOST];

static struct page_counts counts(void)
{
    struct page_counts now;

    page_counts(&now);
    return now;
}

static void *nothing(void *arg)
{
    return arg;
}

static const char *needs_device(void)
{
    return pv_boot.initial_domain ? NULL : "the kernel follows a target of its host's here";
}

/* --- A device that takes and gives, then lies ------------------------------------------------- */

enum { NUM_PAGES = 0, ACTUAL = 4 };
static uint32_t lie; /* added to what it says it has used */

static void balloon_notified(struct fake_device *f, struct virtio_queue *q)
{
    uint64_t address;
    uint32_t bytes;
    int head = fake_device_take(f, q, &address, &bytes);

    if (head < 0)
        return;
    CHECK_EQ(bytes % 4, 0);
    fake_device_use(q, (uint32_t)head + lie, 0);
    fake_device_interrupt(q);
}

static void ask(struct fake_device *f, uint32_t pages)
{
    memcpy(f->config + NUM_PAGES, &pages, sizeof(pages));
    fake_device_config_changed(f);
}

static uint32_t actual(const struct fake_device *f)
{
    uint32_t pages;

    memcpy(&pages, f->config + ACTUAL, sizeof(pages));
    return pages;
}

static bool comes_to(const struct fake_device *f, uint32_t least, uint32_t most)
{
    const uint64_t deadline_ns = ms_from_now(60000);

    while ((actual(f) < least || actual(f) > most) && clock_monotonic_ns() < deadline_ns)
        sleep_ms(1);
    return CHECK(actual(f) >= least && actual(f) <= most);
}

static bool was_device; /* it had the balloon, and has it no more */

TEST_WHERE(
    balloon_lies,
    "A balloon's absurd target is followed as far as it goes; one that lies is used no more.",
    needs_device)
{
    static struct fake_device f = {
        .device_id = VIRTIO_ID_BALLOON, .nr_queues = 2, .notified = balloon_notified};
    struct page_counts before = counts();
    struct thread *t;

    REQUIRE_OK(fake_device_plug(&f));
    was_device = true;
    ask(&f, 300);
    REQUIRE(comes_to(&f, 300, 300));
    CHECK_EQ(counts().total_pages, before.total_pages - 300);
    ask(&f, UINT32_MAX);
    REQUIRE(comes_to(&f, 400, (uint32_t)before.total_pages - 64));
    ask(&f, 0);
    REQUIRE(comes_to(&f, 0, 0));
    CHECK_EQ(counts().total_pages, before.total_pages);
    lie = 1000;
    ask(&f, 10);
    while (!f.dev->is_broken && !test_has_failed())
        sleep_ms(1);
    /* What it may still have is left to it. */
    CHECK_GE(counts().total_pages + 10, before.total_pages);
    CHECK_EQ(fake_device_plug(&f), -EBUSY);
    settle(); /* the thread that followed it has ended; the next one frees its stack */
    CHECK_OK(thread_create(&t, NULL, nothing, NULL));
    CHECK_OK(thread_join(t, NULL));
}

/* The balloon has one owner: these tests are it where nobody else is. */
static const char *needs_balloon(void)
{
    static bool is_ours;

    is_ours = is_ours || was_device || balloon_init() == 0;
    return is_ours ? NULL : "the kernel follows a target of its host's here";
}

TEST_WHERE(balloon_fill,
           "Frames in the balloon are not the allocator's; emptied out, they are again.",
           needs_balloon)
{
    struct page_counts before = counts();
    uint64_t in_balloon = balloon_pages();

    REQUIRE_EQ(balloon_fill(frames, 200), 200);
    CHECK_EQ(counts().free_pages, before.free_pages - 200);
    CHECK_EQ(counts().total_pages, before.total_pages - 200);
    CHECK_EQ(balloon_pages(), in_balloon + 200);
    CHECK_EQ(balloon_find(frames + 200, 500), in_balloon + 200 < 500 ? in_balloon + 200 : 500);
    balloon_empty(frames, 200);
    /* A page of the list of free frames may have been made of one. */
    CHECK_GE(counts().free_pages + 1, before.free_pages);
    CHECK_EQ(counts().total_pages, before.total_pages);
    CHECK_EQ(balloon_pages(), in_balloon);
}

TEST_WHERE(balloon_reserve, "However much is asked for, the guest keeps what it needs to go on.",
           needs_balloon)
{
    struct thread *t;
    void *memory;

    unsigned filled = balloon_fill(frames, MOST);
    uint64_t left = counts().free_pages;
    CHECK_GE(left, 64);
    CHECK_LT(left, pv_boot.nr_pages / 16);
    CHECK_EQ(balloon_fill(frames + filled, filled < MOST), 0);
    CHECK_OK(thread_create(&t, NULL, nothing, NULL));
    CHECK_OK(thread_join(t, NULL));
    CHECK_EQ(vm_map(&memory, (left + 1) * PAGE_SIZE, VM_READ | VM_WRITE, "too much"), -ENOMEM);
    balloon_empty(frames, filled);
    CHECK_OK(vm_map(&memory, (left + 1) * PAGE_SIZE, VM_READ | VM_WRITE, "enough"));
    CHECK_OK(vm_unmap(memory, (left + 1) * PAGE_SIZE));
}

static unsigned calls;

static void count_call(void)
{
    calls++;
}

/* Frees `pages` pages that were in use. */
static void free_some(size_t pages)
{
    void *memory;

    REQUIRE_OK(vm_map(&memory, pages * PAGE_SIZE, VM_READ | VM_WRITE | VM_DIRTY, "to be freed"));
    CHECK_OK(vm_unmap(memory, pages * PAGE_SIZE));
}

TEST(balloon_report, "Freed frames are reported once, are nobody's meanwhile, and used last.")
{
    void *memory;
    unsigned count;

    REQUIRE((count = balloon_report(frames, MOST)) < MOST); /* whatever was freed before */
    balloon_reported(frames, count, count);
    CHECK_EQ(balloon_report(frames, MOST), 0);
    calls = 0;
    CHECK(balloon_watch_freed(100, count_call));
    struct page_counts before = counts();
    free_some(99);
    CHECK_EQ(calls, 0);
    free_some(200);
    CHECK_EQ(calls, 1);
    CHECK(!balloon_watch_freed(100, count_call));
    count = balloon_report(frames, MOST);
    CHECK(count >= 199 &&
          count <= 210); /* a page table may be among them, or the list's own page */
    CHECK_EQ(counts().total_pages, before.total_pages);
    /* All but a page or two that the records took. */
    CHECK(counts().free_pages + count <= before.free_pages);
    CHECK_GE(counts().free_pages + count + 2, before.free_pages);
    for (unsigned i = 0; i < 4; i++) { /* what is mapped meanwhile is none of them */
        REQUIRE_OK(vm_map(&memory, 64 * PAGE_SIZE, VM_READ | VM_WRITE | VM_DIRTY, "others"));
        for (unsigned page = 0; page < 64; page++)
            for (unsigned k = 0; k < count; k++)
                CHECK_NE(dma_address((char *)memory + page * PAGE_SIZE).n,
                         pv_mfn(frames[k]).n << PAGE_SHIFT);
        CHECK_OK(vm_unmap(memory, 64 * PAGE_SIZE));
    }
    unsigned freed_since = balloon_report(frames + count, MOST - count);
    balloon_reported(frames, 50, count);
    CHECK_EQ(balloon_report(frames, MOST), count - 50); /* those that did not fit into the report */
    balloon_reported(frames, count - 50, count - 50);
    balloon_reported(frames + count, freed_since, freed_since);
    CHECK_EQ(balloon_report(frames, MOST), 0);
    CHECK_GE(counts().free_pages + 1, before.free_pages);
}

static const char *needs_xen(void)
{
    return host_is_xen() ? needs_balloon() : "frames come and go on Xen only";
}

static uint64_t reservation(void)
{
    domid_t self = DOMID_SELF;

    return (uint64_t)hypercall(__HYPERVISOR_memory_op, XENMEM_current_reservation,
                               address_of(&self), 0, 0, 0);
}

TEST_WHERE(balloon_frames, "Frames given back to Xen are gone; taken again, they have memory.",
           needs_xen)
{
    void *memory;

    uint64_t reserved = reservation();
    for (unsigned turn = 0; turn < 5; turn++) {
        REQUIRE_EQ(balloon_fill(frames, PV_FRAMES_BATCH), PV_FRAMES_BATCH);
        CHECK_EQ(pv_frames_give(frames, PV_FRAMES_BATCH), PV_FRAMES_BATCH);
        CHECK_EQ(reservation(), reserved - PV_FRAMES_BATCH);
        for (unsigned i = 0; i < PV_FRAMES_BATCH; i++)
            CHECK_EQ(pv_mfn(frames[i]).n, UINT64_MAX);
        REQUIRE_EQ(pv_frames_take(frames, PV_FRAMES_BATCH), PV_FRAMES_BATCH);
        CHECK_EQ(reservation(), reserved);
        balloon_empty(frames, PV_FRAMES_BATCH);
        size_t bytes = 2 * PV_FRAMES_BATCH * PAGE_SIZE;
        REQUIRE_OK(vm_map(&memory, bytes, VM_READ | VM_WRITE, "taken"));
        memset(memory, 0x5a, bytes);
        CHECK_OK(vm_unmap(memory, bytes));
    }
}
