/*
 * The heap: malloc and its kin under random load, in several threads, and sbrk below them.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

#define SLOTS 200
#define MAX_BYTES 20000

struct slot {
    uint8_t *memory;
    size_t bytes;
    uint8_t pattern;
};

static void fill(struct slot *slot, size_t from)
{
    memset(slot->memory + from, slot->pattern, slot->bytes - from);
}

static void check(const struct slot *slot, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (slot->memory[i] != slot->pattern) {
            FAIL("byte %zu of %zu is %x instead of %x", i, slot->bytes, slot->memory[i],
                 slot->pattern);
            return;
        }
}

static void drop(struct slot *slot)
{
    check(slot, slot->bytes);
    free(slot->memory);
    slot->memory = NULL;
}

static void resize(struct slot *slot, size_t bytes)
{
    size_t kept = bytes < slot->bytes ? bytes : slot->bytes;
    uint8_t *memory = realloc(slot->memory, bytes);

    if (!CHECK(memory))
        return;
    slot->memory = memory;
    check(slot, kept);
    slot->bytes = bytes;
    fill(slot, kept);
}

static void allocate(struct slot *slot, size_t bytes, struct random *random)
{
    size_t align = 16ul << random_below(random, 6);

    slot->bytes = bytes;
    slot->pattern = (uint8_t)random_next(random);
    switch (random_below(random, 4)) {
    case 0:
        slot->memory = memalign(align, bytes);
        CHECK_EQ((uintptr_t)slot->memory % align, 0);
        break;
    case 1:
        slot->memory = calloc(bytes, 1);
        for (size_t i = 0; slot->memory && i < bytes; i++)
            if (slot->memory[i])
                FAIL("calloc: byte %zu of %zu is not zero", i, bytes);
        break;
    default:
        slot->memory = malloc(bytes);
        break;
    }
    if (!CHECK(slot->memory))
        return;
    CHECK_EQ((uintptr_t)slot->memory % 16, 0);
    fill(slot, 0);
}

/* Small sizes mostly, large ones at times. */
static size_t random_bytes(struct random *random)
{
    return 1 + random_below(random, random_below(random, 8) ? 200 : MAX_BYTES);
}

static void *churn(void *seed)
{
    struct random random = RANDOM((uintptr_t)seed);
    struct slot *slots = calloc(SLOTS, sizeof(*slots));
    const uint64_t steps = scaled(20000);

    if (!CHECK(slots))
        return NULL;
    for (uint64_t i = 0; i < steps && !test_has_failed(); i++) {
        struct slot *slot = &slots[random_below(&random, SLOTS)];

        if (!slot->memory)
            allocate(slot, random_bytes(&random), &random);
        else if (random_below(&random, 3) == 0)
            resize(slot, random_bytes(&random));
        else
            drop(slot);
    }
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].memory)
            drop(&slots[i]);
    free(slots);
    return NULL;
}

TEST(heap_churn, "Random malloc, calloc, memalign, realloc and free: every block keeps its bytes.")
{
    churn((void *)11);
}

TEST(heap_threads, "The same in four threads at once.")
{
    struct thread *t[4];

    for (uintptr_t i = 0; i < 4; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, churn, (void *)(20 + i)));
    for (int i = 0; i < 4; i++)
        CHECK_OK(thread_join(t[i], NULL));
}

TEST(heap_leak, "Allocating and freeing the same over and over needs no more memory.")
{
    churn((void *)31);
    uint64_t before = free_pages();
    for (int i = 0; i < 3; i++)
        churn((void *)31);
    CHECK_GE(free_pages(), before); /* threads that had just ended may have freed theirs since */
}

TEST(heap_impossible, "Sizes that cannot be, and products that overflow, are refused.")
{
    volatile size_t huge = SIZE_MAX / 2 + 2, all = SIZE_MAX;

    errno = 0;
    CHECK(!malloc(all));
    CHECK_EQ(errno, ENOMEM);
    CHECK(!malloc(huge));
    errno = 0;
    CHECK(!calloc(huge, 2));
    CHECK_EQ(errno, ENOMEM);
    void *memory = malloc(10);
    void *grown = realloc(memory, huge);
    if (CHECK(!grown))
        free(memory); /* it stays as it was */
    free(NULL);
}

/* More than the hypervisor mapped at boot behind the image. */
#define GROWTH (10ul << 20)

TEST(heap_sbrk, "sbrk grows by zeroed memory and shrinks: what was given back is unmapped.")
{
    char *end = sbrk(0);

    for (int turn = 0; turn < 3; turn++) {
        uint64_t before = free_pages();
        char *memory = sbrk(GROWTH);

        REQUIRE(memory == end);
        for (size_t i = 0; i < GROWTH; i++)
            if (memory[i])
                return FAIL("not zero at %zu", i);
        memset(memory, 0xff, GROWTH);
        CHECK(sbrk(0) == end + GROWTH);
        CHECK(sbrk(-(intptr_t)GROWTH) == end + GROWTH);
        CHECK_PAGE_FAULT(access_read, end + GROWTH - 1, 0, end + GROWTH - 1);
        if (turn > 0)
            CHECK_EQ(free_pages(), before);
    }
    errno = 0;
    CHECK(sbrk(INTPTR_MAX) == (void *)-1);
    CHECK_EQ(errno, ENOMEM);
    CHECK(sbrk(INTPTR_MIN) == (void *)-1);
    CHECK(sbrk(0) == end);
}
