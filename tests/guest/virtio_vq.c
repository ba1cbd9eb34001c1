/*
 * Virtqueues against a device of our own that sees only what a device sees: the three parts of the
 * rings at their machine addresses, read by the layout of virtio 1.2, section 2.7. It plays honest
 * and every kind of liar.
 */
#include "kernel/virtio/vq.h"

#include <errno.h>
#include <string.h>

#include "kernel/dma.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

#define ENTRIES 16
#define PAGES 32

/* --- The device ------------------------------------------------------------------------------ */

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct element {
    uint32_t id, bytes;
};

static struct vq vq;
static char *memory;   /* PAGES pages for the test's buffers */
static uint16_t taken; /* entries of the available ring that the device saw */

/* The rings and buffers behind a machine address. */
static void *behind(uint64_t address)
{
    char *page = NULL;

    for (size_t i = 0; i < vq.memory_bytes / PAGE_SIZE && !page; i++)
        if (dma_address((char *)vq.memory + i * PAGE_SIZE).n == (address & -PAGE_SIZE))
            page = (char *)vq.memory + i * PAGE_SIZE;
    for (size_t i = 0; i < PAGES && !page; i++)
        if (dma_address(memory + i * PAGE_SIZE).n == (address & -PAGE_SIZE))
            page = memory + i * PAGE_SIZE;
    if (!page) {
        FAIL("the device was given 0x%llx, which is not the test's", (unsigned long long)address);
        page = memory;
    }
    return page + address % PAGE_SIZE;
}

static volatile uint16_t *available(void) /* flags, index, ring[], used_event */
{
    return behind(vq.available_at.n);
}

static volatile uint16_t *used(void) /* flags, index, then elements of 8 bytes, avail_event */
{
    return behind(vq.used_at.n);
}

static struct element *used_ring(void)
{
    return (struct element *)(used() + 2);
}

static void say_used_as(uint32_t id, uint32_t bytes, uint16_t index)
{
    used_ring()[(uint16_t)(index - 1) % vq.entries] = (struct element){id, bytes};
    used()[1] = index;
}

static void say_used(uint32_t id, uint32_t bytes)
{
    say_used_as(id, bytes, (uint16_t)(used()[1] + 1));
}

/* The next head in the available ring, or -1. */
static int take(void)
{
    if (taken == available()[1])
        return -1;
    return available()[2 + taken++ % vq.entries];
}

/* What the device found in a buffer. */
struct found {
    unsigned descriptors, tables;
    size_t readable, writable;
    uint32_t sum; /* of the readable bytes, in order */
};

/* Walks the buffer; fills its writable bytes with fill, counting up, where fill is not 0. */
static struct found walk(unsigned head, uint8_t fill)
{
    const struct descriptor *table = behind(vq.descriptors_at.n);
    struct found f = {0};
    size_t limit = vq.entries;
    unsigned at = head;

    if (table[at].flags & INDIRECT) {
        CHECK_EQ(table[at].flags, INDIRECT);
        limit = table[at].bytes / sizeof(*table);
        table = behind(table[at].address);
        at = 0;
        f.tables = 1;
    }
    for (;;) {
        if (!CHECK_LT(at, limit) || !CHECK_LT(f.descriptors, limit))
            break;
        const struct descriptor *d = &table[at];
        f.descriptors++;
        CHECK(d->bytes > 0);
        for (uint32_t i = 0; i < d->bytes && !test_has_failed();) {
            uint8_t *p = behind(d->address + i);
            size_t part = PAGE_SIZE - (uintptr_t)p % PAGE_SIZE;

            for (; part && i < d->bytes; part--, i++, p++) {
                if (!(d->flags & WRITE)) {
                    f.sum = f.sum * 31 + *p;
                    f.readable++;
                } else {
                    if (fill)
                        *p = fill++;
                    f.writable++;
                }
            }
        }
        if (!(d->flags & WRITE))
            CHECK_EQ(f.writable, 0); /* 2.7.4.2: readable before writable */
        if (!(d->flags & NEXT))
            break;
        at = d->next;
    }
    return f;
}

/* --- Set-up ---------------------------------------------------------------------------------- */

static bool set_up_with(unsigned entries, unsigned tables, bool event_idx)
{
    taken = 0;
    if (!CHECK_OK(vm_map((void **)&memory, PAGES * PAGE_SIZE, VM_READ | VM_WRITE, "vq test")))
        return false;
    return CHECK_OK(vq_create(&vq, &(struct vq_options){entries, tables, event_idx}));
}

static bool set_up(void)
{
    return set_up_with(ENTRIES, 4, true);
}

static void tear_down(void)
{
    vq_destroy(&vq);
    CHECK_OK(vm_unmap(memory, PAGES * PAGE_SIZE));
}

static struct vq_piece piece(size_t at, size_t bytes)
{
    return (struct vq_piece){memory + at, bytes};
}

static uint32_t sum_of(uint32_t sum, const struct vq_piece *p, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++)
        for (size_t k = 0; k < p[i].bytes; k++)
            sum = sum * 31 + ((const uint8_t *)p[i].data)[k];
    return sum;
}

/* Adds a buffer that the device writes, of 100 bytes, and publishes it. */
static bool offer(void *cookie)
{
    bool added = CHECK_OK(vq_add(&vq, (struct vq_piece[]){piece(0, 100)}, 0, 1, cookie));

    vq_publish(&vq);
    return added;
}

static void expect_reaped(void *expected, uint32_t bytes)
{
    void *cookie = NULL;
    uint32_t written = UINT32_MAX;

    CHECK_OK(vq_reap(&vq, &cookie, &written));
    CHECK_EQ((uintptr_t)cookie, (uintptr_t)expected);
    CHECK_EQ(written, bytes);
}

static void expect_nothing(void)
{
    void *cookie;
    uint32_t written;

    CHECK_EQ(vq_reap(&vq, &cookie, &written), -EAGAIN);
}

/* --- Honest ---------------------------------------------------------------------------------- */

TEST(vq_layout, "The rings lie where the specification wants them, for every size of a queue.")
{
    for (unsigned entries = 1; entries <= VQ_MAX_ENTRIES; entries *= 2) {
        for (unsigned tables = 0; tables <= 8; tables += 4) {
            REQUIRE(set_up_with(entries, tables, true));
            CHECK_EQ(vq.descriptors_at.n % 16, 0);
            CHECK_EQ(vq.available_at.n % 2, 0);
            CHECK_EQ(vq.used_at.n % 4, 0);
            /* Each in one page, since pages need not be neighbours. */
            CHECK(vq.descriptors_at.n % PAGE_SIZE + entries * 16 <= PAGE_SIZE);
            CHECK(vq.available_at.n % PAGE_SIZE + 6 + entries * 2 <= PAGE_SIZE);
            CHECK(vq.used_at.n % PAGE_SIZE + 6 + entries * 8 <= PAGE_SIZE);
            CHECK_EQ(available()[0] | available()[1] | used()[0] | used()[1], 0);
            tear_down();
        }
    }
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(vq_create(&vq, &(struct vq_options){(unsigned[]){0, 3, 512}[i], 0, 0}), -EINVAL);
}

TEST(vq_scatter, "Pieces of all sizes and offsets reach the device as they are, page by page.")
{
    struct random r = RANDOM(11);

    REQUIRE(set_up());
    for (size_t i = 0; i < PAGES * PAGE_SIZE; i++)
        memory[i] = (char)random_next(&r);
    for (unsigned round = 0; round < scaled(400) && !test_has_failed(); round++) {
        struct vq_piece p[6];
        unsigned out = random_below(&r, 4), in = 1 + random_below(&r, 3);
        size_t readable = 0, writable = 0;

        for (unsigned i = 0; i < out + in; i++) {
            size_t bytes = 1 + random_below(&r, random_below(&r, 2) ? 100 : 3 * PAGE_SIZE);

            /* What is read lies in the lower half, what is written in the upper. */
            p[i] = piece((i < out ? 0 : PAGES / 2 * PAGE_SIZE) +
                             random_below(&r, (uint32_t)(PAGES / 2 * PAGE_SIZE - bytes)),
                         bytes);
            *(i < out ? &readable : &writable) += bytes;
        }
        REQUIRE_OK(vq_add(&vq, p, out, in, &p[0]));
        vq_publish(&vq);
        int head = take();
        REQUIRE(head >= 0);
        struct found f = walk((unsigned)head, 0);
        CHECK_EQ(f.readable, readable);
        CHECK_EQ(f.writable, writable);
        CHECK_EQ(f.sum, sum_of(0, p, out));
        say_used((uint32_t)head, (uint32_t)writable);
        expect_reaped(&p[0], (uint32_t)writable);
        expect_nothing();
        CHECK_EQ(vq_room(&vq), ENTRIES);
    }
    tear_down();
}

TEST(vq_write, "What the device writes arrives in the order of the pieces.")
{
    REQUIRE(set_up());
    struct vq_piece p[] = {piece(0, 1), piece(PAGE_SIZE - 10, 20), piece(3 * PAGE_SIZE - 1, 30),
                           piece(7, 50)};
    REQUIRE_OK(vq_add(&vq, p, 1, 3, memory));
    vq_publish(&vq);
    walk((unsigned)take(), 1);
    uint8_t next = 1;
    for (unsigned i = 1; i < 4; i++)
        for (size_t k = 0; k < p[i].bytes; k++)
            CHECK_EQ(((const uint8_t *)p[i].data)[k], next++);
    tear_down();
}

TEST(vq_indirect, "Long buffers go into indirect tables, short ones and those for which none is "
                  "left do not.")
{
    struct vq_piece p[5];

    REQUIRE(set_up_with(ENTRIES, 1, true));
    for (unsigned i = 0; i < 5; i++)
        p[i] = piece(i * 200, 10);
    REQUIRE_OK(vq_add(&vq, p, 2, 0, NULL)); /* 2 descriptors */
    REQUIRE_OK(vq_add(&vq, p, 5, 0, NULL)); /* 1 and the table */
    CHECK_EQ(vq_room(&vq), ENTRIES - 3);
    REQUIRE_OK(vq_add(&vq, p, 5, 0, NULL)); /* 5 */
    CHECK_EQ(vq_room(&vq), ENTRIES - 8);
    vq_publish(&vq);
    int head = take();
    CHECK_EQ(walk((unsigned)head, 0).tables, 0);
    head = take();
    CHECK_EQ(walk((unsigned)head, 0).tables, 1);
    say_used((uint32_t)head, 0);
    expect_reaped(NULL, 0);
    REQUIRE_OK(vq_add(&vq, p, 5, 0, NULL)); /* the table is free again */
    CHECK_EQ(vq_room(&vq), ENTRIES - 8);
    tear_down();
}

TEST(vq_ranges, "Ranges of machine memory reach the device as they are, a descriptor each.")
{
    struct vq_range ranges[ENTRIES + 1];

    REQUIRE(set_up());
    for (unsigned i = 0; i <= ENTRIES; i++)
        ranges[i] = (struct vq_range){{dma_address(memory + i * PAGE_SIZE).n}, PAGE_SIZE};
    CHECK_EQ(vq_add_ranges(&vq, ranges, 0, NULL), -EINVAL);
    CHECK_EQ(vq_add_ranges(&vq, ranges, ENTRIES + 1, NULL), -EINVAL);
    REQUIRE_OK(vq_add_ranges(&vq, ranges, 3, &ranges[0]));
    CHECK_EQ(vq_add_ranges(&vq, ranges, ENTRIES, NULL), -EAGAIN);
    REQUIRE_OK(vq_add_ranges(&vq, ranges + 3, ENTRIES - 3, &ranges[3]));
    vq_publish(&vq);
    for (unsigned i = 0; i < 2; i++) {
        int head = take();
        REQUIRE(head >= 0);
        struct found f = walk((unsigned)head, (uint8_t)(i + 1));
        CHECK_EQ(f.descriptors, i ? ENTRIES - 3 : 3);
        CHECK_EQ(f.writable, f.descriptors * PAGE_SIZE);
        say_used((uint32_t)head, (uint32_t)f.writable);
        expect_reaped(&ranges[i * 3], (uint32_t)f.writable);
    }
    CHECK_EQ(memory[0], 1);
    CHECK_EQ(memory[3 * PAGE_SIZE], 2);
    CHECK_EQ(vq_room(&vq), ENTRIES);
    tear_down();
}

TEST(vq_full, "A full queue refuses, and takes as much again as is reaped; out of order, too.")
{
    struct random r = RANDOM(5);
    int heads[ENTRIES];

    REQUIRE(set_up_with(ENTRIES, 0, false));
    for (unsigned round = 0; round < scaled(200) && !test_has_failed(); round++) {
        for (uintptr_t i = 0; i < ENTRIES; i++)
            REQUIRE(offer(&memory[i]));
        CHECK_EQ(vq_add(&vq, (struct vq_piece[]){piece(0, 1)}, 1, 0, NULL), -EAGAIN);
        CHECK_EQ(vq_outstanding(&vq), ENTRIES);
        for (unsigned i = 0; i < ENTRIES; i++)
            heads[i] = take();
        CHECK_EQ(take(), -1);
        for (unsigned left = ENTRIES; left; left--) {
            unsigned i = random_below(&r, left);
            void *cookie = NULL;
            uint32_t written;

            say_used((uint32_t)heads[i], i);
            REQUIRE_OK(vq_reap(&vq, &cookie, &written));
            CHECK_EQ(written, i);
            heads[i] = heads[left - 1];
        }
        CHECK_EQ(vq_outstanding(&vq), 0);
        CHECK_EQ(vq_room(&vq), ENTRIES);
    }
    tear_down();
}

TEST(vq_refusals, "Nothing, empty pieces and more than ever fits are refused without a trace.")
{
    struct vq_piece p[ENTRIES + 1];

    REQUIRE(set_up_with(ENTRIES, 0, true));
    for (unsigned i = 0; i <= ENTRIES; i++)
        p[i] = piece(i * 2, 1);
    CHECK_EQ(vq_add(&vq, p, 0, 0, NULL), -EINVAL);
    CHECK_EQ(vq_add(&vq, p, ENTRIES + 1, 0, NULL), -EINVAL);
    CHECK_EQ(vq_add(&vq, (struct vq_piece[]){piece(0, SIZE_MAX)}, 0, 1, NULL), -EINVAL);
    p[1].bytes = 0;
    CHECK_EQ(vq_add(&vq, p, 1, 1, NULL), -EINVAL);
    CHECK_EQ(vq_room(&vq), ENTRIES);
    CHECK(!vq_publish(&vq));
    CHECK_EQ(take(), -1);
    tear_down();
}

TEST(vq_notify, "The device is notified when it asked for it, once per batch, around the wrap of "
                "the index, too.")
{
    REQUIRE(set_up());
    volatile uint16_t *avail_event = (volatile uint16_t *)&used_ring()[ENTRIES];
    for (unsigned round = 0; round < 70000 / 8 && !test_has_failed(); round++) {
        uint16_t start = available()[1];
        unsigned batch = 1 + round % 8, event = round / 8 % 12;

        *avail_event = (uint16_t)(start + event - 2);
        for (unsigned i = 0; i < batch; i++)
            REQUIRE_OK(vq_add(&vq, (struct vq_piece[]){piece(0, 1)}, 1, 0, NULL));
        CHECK_EQ(available()[1], start);
        CHECK_EQ(vq_publish(&vq), event >= 2 && event - 2 < batch);
        CHECK_EQ(available()[1], (uint16_t)(start + batch));
        CHECK(!vq_publish(&vq));
        while (taken != available()[1]) {
            say_used((uint32_t)take(), 0);
            expect_reaped(NULL, 0);
        }
    }
    tear_down();

    REQUIRE(set_up_with(ENTRIES, 0, false));
    for (unsigned flag = 0; flag < 2; flag++) {
        used()[0] = (uint16_t)flag;
        REQUIRE_OK(vq_add(&vq, (struct vq_piece[]){piece(0, 1)}, 1, 0, NULL));
        CHECK_EQ(vq_publish(&vq), !flag);
    }
    tear_down();
}

/* Whether a device that follows 2.7.7.2 interrupts as its used index goes up to `to`. */
static bool interrupts(bool event_idx, uint16_t from, uint16_t to)
{
    if (!event_idx)
        return !(available()[0] & 1);
    CHECK_EQ(available()[0], 0); /* 2.7.7.1 */
    uint16_t event = available()[2 + ENTRIES];
    return (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

TEST(vq_listen, "Interrupts come once asked for, not before, and no used buffer is slept over.")
{
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        REQUIRE(set_up_with(ENTRIES, 0, event_idx));
        for (unsigned round = 0; round < 70000 / ENTRIES && !test_has_failed(); round++) {
            uint16_t start = used()[1];

            for (uintptr_t i = 0; i < ENTRIES; i++)
                REQUIRE(offer(&memory[i]));
            vq_silence(&vq);
            CHECK(!interrupts(event_idx, start, (uint16_t)(start + 1)));
            say_used((uint32_t)take(), 0);
            CHECK(!vq_listen(&vq)); /* one is used already */
            expect_reaped(&memory[0], 0);
            CHECK(vq_listen(&vq));
            CHECK(interrupts(event_idx, (uint16_t)(start + 1), (uint16_t)(start + 2)));
            for (uintptr_t i = 1; i < ENTRIES; i++)
                say_used((uint32_t)take(), 0);
            vq_silence(&vq);
            for (uintptr_t i = 1; i < ENTRIES; i++)
                expect_reaped(&memory[i], 0);
            expect_nothing();
        }
        tear_down();
    }
}

TEST(vq_take_back, "After a reset, what the device had comes back, each once.")
{
    uint64_t before = free_pages();
    unsigned seen = 0;
    void *cookie;

    REQUIRE(set_up());
    for (uintptr_t i = 0; i < 10; i++)
        REQUIRE(offer((void *)i));
    say_used((uint32_t)take(), 0);
    expect_reaped((void *)0, 0);
    while (vq_take_back(&vq, &cookie))
        seen |= 1u << (uintptr_t)cookie;
    CHECK_EQ(seen, 0x3fe);
    CHECK_EQ(vq_room(&vq), ENTRIES);
    tear_down();
    CHECK_GE(free_pages() + 4, before); /* structs of regions, at most */
}

/* --- Hostile --------------------------------------------------------------------------------- */

/* The queue is dead and says why. */
static void expect_lie(const char *lie, uint32_t value)
{
    void *cookie = &cookie;
    uint32_t written;

    CHECK_EQ(vq_reap(&vq, &cookie, &written), -EIO);
    if (CHECK(vq.lie) && strcmp(vq.lie, lie) != 0)
        FAIL("the lie is called %s instead of %s", vq.lie, lie);
    CHECK_EQ(vq.lie_value, value);
    CHECK_EQ(vq_reap(&vq, &cookie, &written), -EIO);
    CHECK_EQ(vq_add(&vq, (struct vq_piece[]){piece(0, 1)}, 1, 0, NULL), -EIO);
    CHECK(!vq_listen(&vq));
}

TEST(vq_lie_id, "A used id out of range, of no buffer or of one inside a chain is a lie.")
{
    const uint32_t ids[] = {ENTRIES, UINT32_MAX, 0x10000, 5};

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        REQUIRE(set_up());
        REQUIRE(offer(memory));
        say_used(ids[i], 0);
        expect_lie("used id", ids[i]);
        tear_down();
    }
    REQUIRE(set_up());
    REQUIRE_OK(vq_add(&vq, (struct vq_piece[]){piece(0, 1), piece(9, 1)}, 1, 1, NULL));
    vq_publish(&vq);
    uint32_t inner = (uint32_t)(take() + 1) % ENTRIES;
    say_used(inner, 0);
    expect_lie("used id", inner);
    tear_down();
}

TEST(vq_lie_twice, "The same buffer used twice is a lie, the first time is not.")
{
    REQUIRE(set_up());
    REQUIRE(offer(&memory[1]));
    REQUIRE(offer(&memory[2]));
    uint32_t head = (uint32_t)take();
    say_used(head, 100);
    say_used(head, 100);
    expect_reaped(&memory[1], 100);
    expect_lie("used id", head);
    CHECK_EQ(vq_outstanding(&vq), 1);
    tear_down();
}

TEST(vq_lie_length, "More written than there was room for is a lie; all of it is not.")
{
    for (unsigned above = 0; above < 3; above++) {
        uint32_t bytes = above == 2 ? UINT32_MAX : 100 + above;

        REQUIRE(set_up());
        REQUIRE(offer(memory));
        say_used((uint32_t)take(), bytes);
        if (above)
            expect_lie("used length", bytes);
        else
            expect_reaped(memory, bytes);
        tear_down();
    }
    /* Nobody looks at the length of what the device only reads: it counts as nothing written. */
    REQUIRE(set_up());
    REQUIRE_OK(vq_add(&vq, (struct vq_piece[]){piece(0, 10)}, 1, 0, memory));
    vq_publish(&vq);
    say_used((uint32_t)take(), 10);
    expect_reaped(memory, 0);
    tear_down();
}

TEST(vq_lie_index, "A used index that jumps, forwards or backwards, is a lie.")
{
    const uint16_t jumps[] = {2, ENTRIES, ENTRIES + 1, 0x8000, 0xffff};

    for (unsigned i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        REQUIRE(set_up());
        REQUIRE(offer(memory));
        say_used_as((uint32_t)take(), 0, jumps[i]);
        expect_lie("used index", jumps[i]);
        tear_down();
    }
    /* Nothing was offered. */
    REQUIRE(set_up());
    say_used(0, 0);
    expect_lie("used index", 1);
    tear_down();
}

TEST(vq_lie_random, "A device that writes at random does no harm: what it gives back was its own.")
{
    struct random r = RANDOM(77);

    for (unsigned round = 0; round < scaled(300) && !test_has_failed(); round++) {
        uint32_t given = 0;

        REQUIRE(set_up());
        for (unsigned step = 0; step < 200 && !vq.lie; step++) {
            uintptr_t i = random_below(&r, 32);
            void *cookie;
            uint32_t written;

            if (!(given & 1u << i) &&
                vq_add(&vq, (struct vq_piece[]){piece(i * 64, 64)}, 0, 1, (void *)i) == 0)
                given |= 1u << i;
            vq_publish(&vq);
            for (unsigned n = random_below(&r, 8); n; n--)
                *((volatile uint16_t *)used() + 1 + random_below(&r, 8)) =
                    (uint16_t)(random_next(&r) & (random_below(&r, 4) ? 0xf : 0xffff));
            while (vq_reap(&vq, &cookie, &written) == 0) {
                CHECK(given & 1u << (uintptr_t)cookie);
                CHECK(written <= 64);
                given &= ~(1u << (uintptr_t)cookie);
            }
        }
        void *cookie;
        while (vq_take_back(&vq, &cookie)) {
            CHECK(given & 1u << (uintptr_t)cookie);
            given &= ~(1u << (uintptr_t)cookie);
        }
        CHECK_EQ(given, 0);
        CHECK_EQ(vq_room(&vq), ENTRIES);
        tear_down();
    }
}
