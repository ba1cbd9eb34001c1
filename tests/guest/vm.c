/*
 * The address space: mapping, protections, unmapping, against a model; what is refused; leaks.
 */
#include "kernel/vm.h"

#include <errno.h>
#include <string.h>

#include "kernel/page.h"
#include "tests/guest/test.h"

#define RW (VM_READ | VM_WRITE)
#define RET 0xc3

/* --- One at a time -------------------------------------------------------------------------- */

TEST(vm_map_zeroed, "Fresh memory is zero, also where other contents were freed a moment ago.")
{
    const size_t bytes = 64 * PAGE_SIZE;
    void *memory;

    for (int i = 0; i < 8; i++) {
        REQUIRE_OK(vm_map(&memory, bytes, RW, "zeroed"));
        for (size_t at = 0; at < bytes; at += 8)
            if (*(uint64_t *)((char *)memory + at))
                return FAIL("not zero at page %zu", at / PAGE_SIZE);
        memset(memory, 0xa5, bytes);
        CHECK_OK(vm_unmap(memory, bytes));
        CHECK_PAGE_FAULT(access_read, memory, 0, memory);
    }
}

TEST(vm_protections, "Each protection allows what it says and nothing else; contents stay.")
{
    void *page;

    REQUIRE_OK(vm_map(&page, PAGE_SIZE, RW, "page"));
    *(uint8_t *)page = RET;
    CHECK_PAGE_FAULT(access_call, page, PF_PRESENT | PF_FETCH, page);
    CHECK_OK(vm_protect(page, PAGE_SIZE, VM_READ));
    access_read(page);
    CHECK_PAGE_FAULT(access_write, page, PF_PRESENT | PF_WRITE, page);
    CHECK_PAGE_FAULT(access_call, page, PF_PRESENT | PF_FETCH, page);
    CHECK_OK(vm_protect(page, PAGE_SIZE, VM_READ | VM_EXEC));
    access_read(page);
    access_call(page);
    CHECK_PAGE_FAULT(access_write, page, PF_PRESENT | PF_WRITE, page);
    CHECK_OK(vm_protect(page, PAGE_SIZE, VM_NONE));
    CHECK_PAGE_FAULT(access_read, page, 0, page);
    CHECK_PAGE_FAULT(access_write, page, PF_WRITE, page);
    CHECK_PAGE_FAULT(access_call, page, PF_FETCH, page);
    CHECK_OK(vm_protect(page, PAGE_SIZE, RW));
    CHECK_EQ(*(uint8_t *)page, RET);
    access_write(page);
    CHECK_OK(vm_unmap(page, PAGE_SIZE));
}

TEST(vm_refused, "Sizes, addresses and protections that make no sense are refused.")
{
    char *page;
    void *out = NULL;

    CHECK_EQ(vm_map(&out, 0, RW, "no size"), -EINVAL);
    CHECK_EQ(vm_map(&out, PAGE_SIZE - 1, RW, "odd size"), -EINVAL);
    CHECK_EQ(vm_map(&out, 1ul << 60, RW, "too large"), -ENOMEM);
    CHECK_EQ(vm_map(&out, -PAGE_SIZE, RW, "too large"), -ENOMEM);
    CHECK_EQ(vm_map(&out, PAGE_SIZE, VM_WRITE | VM_EXEC, "W and X"), -EACCES);
    CHECK_EQ((uintptr_t)out, 0);

    REQUIRE_OK(vm_map((void **)&page, 3 * PAGE_SIZE, RW, "page"));
    out = page + PAGE_SIZE;
    CHECK_EQ(vm_map(&out, PAGE_SIZE, RW | VM_FIXED, "occupied"), -EEXIST);
    CHECK_EQ(vm_protect(page, PAGE_SIZE, VM_WRITE | VM_EXEC), -EACCES);
    CHECK_EQ(vm_protect(page + 1, PAGE_SIZE, VM_READ), -EINVAL);
    CHECK_EQ(vm_protect(page, PAGE_SIZE - 1, VM_READ), -EINVAL);
    CHECK_EQ(vm_unmap(page + 1, PAGE_SIZE), -EINVAL);
    CHECK_EQ(vm_unmap(page, 1), -EINVAL);
    CHECK_EQ(vm_unmap(page, 0), -EINVAL);
    CHECK_EQ(vm_unmap(page, -PAGE_SIZE), -EINVAL);
    CHECK_OK(vm_unmap(page + PAGE_SIZE, PAGE_SIZE));
    CHECK_EQ(vm_protect(page, 3 * PAGE_SIZE, VM_READ), -ENOMEM); /* a hole */
    page[0] = page[2 * PAGE_SIZE] = 1;                           /* nothing has changed */
    CHECK_OK(vm_unmap(page, 3 * PAGE_SIZE));
}

/* The image, the null page and what the hypervisor keeps are not vm_map's to give or take. */
TEST(vm_outside,
     "Addresses outside the mappable area are refused: null, the image, the upper half.")
{
    static const uintptr_t outside[] = {0,
                                        PAGE_SIZE,
                                        0x400000,
                                        0x7ffffffff000,
                                        0x800000000000,
                                        0xffff800000000000,
                                        0xfffffffffffff000};

    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        void *address = (void *)outside[i];

        if (!CHECK_EQ(vm_map(&address, PAGE_SIZE, RW | VM_FIXED, "outside"), -EINVAL) ||
            !CHECK_EQ(vm_unmap(address, PAGE_SIZE), -EINVAL) ||
            !CHECK_EQ(vm_protect(address, PAGE_SIZE, VM_READ), -EINVAL))
            FAIL("address %zu", i);
    }
}

TEST(vm_guard, "A region with a guard has an unmapped page of its own below.")
{
    char *first, *second;
    void *below;
    struct vm_info info;

    REQUIRE_OK(vm_map((void **)&first, PAGE_SIZE, RW | VM_GUARD, "first"));
    REQUIRE_OK(vm_map((void **)&second, PAGE_SIZE, RW | VM_GUARD, "second"));
    CHECK_PAGE_FAULT(access_write, first - 1, PF_WRITE, first - 1);
    CHECK_PAGE_FAULT(access_write, second - 1, PF_WRITE, second - 1);
    vm_query((uintptr_t)first - 1, &info);
    CHECK(info.is_guard && info.name && strcmp(info.name, "first") == 0);
    vm_query((uintptr_t)first, &info);
    CHECK(!info.is_guard && info.start == (uintptr_t)first);
    CHECK_EQ(info.end, (uintptr_t)first + PAGE_SIZE);
    CHECK_EQ(info.prot, RW);
    below = first - PAGE_SIZE;
    CHECK_EQ(vm_map(&below, PAGE_SIZE, RW | VM_FIXED, "in the guard"), -EEXIST);
    CHECK_OK(vm_unmap(first, PAGE_SIZE));
    CHECK_OK(vm_unmap(second, PAGE_SIZE));
    CHECK_OK(vm_map(&below, PAGE_SIZE, RW | VM_FIXED, "it is free now"));
    CHECK_OK(vm_unmap(below, PAGE_SIZE));
}

/* --- A storm against a model ---------------------------------------------------------------- */

#define WINDOW 700 /* pages: spans two page tables */
#define UNMAPPED (-1)

/* What each page of the window must be. The tag stands at three places of a page. */
static struct {
    int prot; /* or UNMAPPED */
    uint32_t tag;
} model[WINDOW];
static char *window;

static const int protections[] = {VM_NONE, VM_READ, RW, RW, RW, VM_READ | VM_EXEC};

static char *page_at(unsigned index)
{
    return window + index * PAGE_SIZE;
}

static volatile uint32_t *tag_at(unsigned index, unsigned place)
{
    return (volatile uint32_t *)(page_at(index) + (place * (PAGE_SIZE / 2 - 4) & ~3ul));
}

static void write_tag(unsigned index, uint32_t tag)
{
    model[index].tag = tag;
    for (unsigned place = 0; place < 3; place++)
        *tag_at(index, place) = tag;
}

static bool any_page(unsigned first, unsigned count, bool mapped)
{
    for (unsigned i = first; i < first + count; i++)
        if ((model[i].prot != UNMAPPED) == mapped)
            return true;
    return false;
}

static void set_range(unsigned first, unsigned count, int prot, bool fresh)
{
    for (unsigned i = first; i < first + count; i++) {
        model[i].prot = prot;
        if (fresh)
            model[i].tag = 0;
    }
}

/* Reads, writes or calls a page and compares with the model. */
static void check_page(unsigned index, struct random *random)
{
    int prot = model[index].prot;
    char *page = page_at(index);

    if (prot == UNMAPPED || prot == VM_NONE) {
        CHECK_PAGE_FAULT(access_read, page, 0, page);
        return;
    }
    for (unsigned place = 0; place < 3; place++)
        if (*tag_at(index, place) != model[index].tag)
            FAIL("page %u holds %x instead of %x", index, *tag_at(index, place), model[index].tag);
    if (prot & VM_WRITE)
        write_tag(index, (random_next(random) & ~0xffu) | RET); /* a callable tag */
    else
        CHECK_PAGE_FAULT(access_write, page, PF_PRESENT | PF_WRITE, page);
    if (!(prot & VM_EXEC))
        CHECK_PAGE_FAULT(access_call, page, PF_PRESENT | PF_FETCH, page);
    else if (model[index].tag)
        access_call(page);
}

static void map_fixed(unsigned first, unsigned count, int prot)
{
    void *address = page_at(first);
    int expected = any_page(first, count, true) ? -EEXIST : 0;

    if (CHECK_EQ(vm_map(&address, count * PAGE_SIZE, prot | VM_FIXED, "storm"), expected) &&
        !expected)
        set_range(first, count, prot, true);
}

/* Wherever vm_map likes, perhaps in a hole of the window: never over something. */
static void map_anywhere(unsigned count, int prot)
{
    void *address;

    if (!CHECK_OK(vm_map(&address, count * PAGE_SIZE, prot, "anywhere")))
        return;
    uintptr_t offset = (uintptr_t)address - (uintptr_t)window;
    if (offset / PAGE_SIZE + count <= WINDOW) {
        CHECK(!any_page((unsigned)(offset / PAGE_SIZE), count, true));
        set_range((unsigned)(offset / PAGE_SIZE), count, prot, true);
    } else {
        CHECK_OK(vm_unmap(address, count * PAGE_SIZE));
        if (offset / PAGE_SIZE < WINDOW) /* it began in the window */
            CHECK(!any_page((unsigned)(offset / PAGE_SIZE), WINDOW - (unsigned)(offset / PAGE_SIZE),
                            true));
    }
}

static void storm_step(struct random *random)
{
    unsigned first = random_below(random, WINDOW);
    unsigned count = 1 + random_below(random, random_below(random, 4) ? 8 : 100);
    int prot = protections[random_below(random, sizeof(protections) / sizeof(protections[0]))];

    if (count > WINDOW - first)
        count = WINDOW - first;
    switch (random_below(random, 8)) {
    case 0:
    case 1:
        map_fixed(first, count, prot);
        break;
    case 2:
        map_anywhere(count, prot);
        break;
    case 3:
    case 4:
        if (CHECK_OK(vm_unmap(page_at(first), count * PAGE_SIZE)))
            set_range(first, count, UNMAPPED, true);
        break;
    default:
        if (CHECK_EQ(vm_protect(page_at(first), count * PAGE_SIZE, prot),
                     any_page(first, count, false) ? -ENOMEM : 0) &&
            !any_page(first, count, false))
            set_range(first, count, prot, false);
        break;
    }
    for (int i = 0; i < 4; i++)
        check_page(random_below(random, WINDOW), random);
}

static void storm(uint64_t seed)
{
    struct random random = RANDOM(seed);
    const uint64_t steps = scaled(20000);

    REQUIRE_OK(vm_map((void **)&window, WINDOW * PAGE_SIZE, RW, "window"));
    REQUIRE_OK(vm_unmap(window, WINDOW * PAGE_SIZE));
    set_range(0, WINDOW, UNMAPPED, true);
    for (uint64_t i = 0; i < steps && !test_has_failed(); i++) {
        storm_step(&random);
        if (test_has_failed())
            FAIL("(at step %lu)", i);
    }
    for (unsigned i = 0; i < WINDOW && !test_has_failed(); i++)
        check_page(i, &random);
    CHECK_OK(vm_unmap(window, WINDOW * PAGE_SIZE));
}

TEST(vm_storm, "20,000 random maps, unmaps and protections do what a model of them says.")
{
    storm(1);
    storm(2);
}

TEST(vm_storm_leak, "A storm leaves as many free pages as it found.")
{
    storm(3); /* what records it needs are there from now on */
    uint64_t before = free_pages();
    storm(3);
    CHECK_EQ(free_pages(), before);
}

TEST(vm_far_apart, "Pages far apart need page tables of their own, which go with them.")
{
    uint64_t before = 0;
    char *base;

    REQUIRE_OK(vm_map((void **)&base, PAGE_SIZE, RW, "base"));
    REQUIRE_OK(vm_unmap(base, PAGE_SIZE));
    for (int turn = 0; turn < 3; turn++) {
        if (turn == 1)
            before = free_pages();
        for (size_t i = 0; i < 20; i++) {
            void *page = base + i * (4ul << 20);

            REQUIRE_OK(vm_map(&page, PAGE_SIZE, RW | VM_FIXED, "far"));
            *(volatile size_t *)page = i;
        }
        for (size_t i = 0; i < 20; i++) {
            char *page = base + i * (4ul << 20);

            CHECK_EQ(*(volatile size_t *)page, i);
            CHECK_OK(vm_unmap(page, PAGE_SIZE));
            CHECK_PAGE_FAULT(access_read, page, 0, page);
        }
    }
    CHECK_EQ(free_pages(), before);
}
