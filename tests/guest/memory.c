/*
 * memcpy and its kin, which are our own (libc-glue/memory.S), and newlib's string functions, with
 * all alignments, and right at the edge of what is mapped.
 */
#include <string.h>

#include "kernel/vm.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

#define ROOM 600

static uint8_t buffer[ROOM], model[ROOM];

static void fill(struct random *random)
{
    for (size_t i = 0; i < ROOM; i++)
        buffer[i] = model[i] = (uint8_t)random_next(random);
}

static void compare(const char *what, size_t to, size_t from, size_t bytes)
{
    for (size_t i = 0; i < ROOM; i++)
        if (buffer[i] != model[i])
            return FAIL("%s(%zu, %zu, %zu): byte %zu", what, to, from, bytes, i);
}

/* Sizes around the switches between methods, mostly. */
static size_t random_size(struct random *random)
{
    return random_below(random, random_below(random, 3) ? 80 : ROOM / 2);
}

TEST(memory_copy, "memcpy, memmove and memset do what a loop over bytes does, overlaps included.")
{
    struct random random = RANDOM(3);
    const uint64_t rounds = scaled(20000);

    for (uint64_t i = 0; i < rounds && !test_has_failed(); i++) {
        size_t bytes = random_size(&random);
        size_t to = random_below(&random, (uint32_t)(ROOM - bytes));
        size_t from = random_below(&random, (uint32_t)(ROOM - bytes));
        uint8_t scratch[ROOM], value = (uint8_t)random_next(&random);

        fill(&random);
        for (size_t j = 0; j < bytes; j++)
            scratch[j] = model[from + j];
        for (size_t j = 0; j < bytes; j++)
            *(volatile uint8_t *)&model[to + j] = scratch[j];
        CHECK(memmove(buffer + to, buffer + from, bytes) == buffer + to);
        compare("memmove", to, from, bytes);

        fill(&random);
        for (size_t j = 0; j < bytes; j++)
            *(volatile uint8_t *)&model[to + j] = value;
        CHECK(memset(buffer + to, value, bytes) == buffer + to);
        compare("memset", to, value, bytes);

        fill(&random);
        bytes /= 2;
        to = random_below(&random, (uint32_t)(ROOM / 2 - bytes));
        from = ROOM / 2 + random_below(&random, (uint32_t)(ROOM / 2 - bytes));
        for (size_t j = 0; j < bytes; j++)
            *(volatile uint8_t *)&model[to + j] = model[from + j];
        CHECK(memcpy(buffer + to, buffer + from, bytes) == buffer + to);
        compare("memcpy", to, from, bytes);
    }
}

/* Each operand ends with the last mapped byte, or begins with the first. */
static void at_the_edge(char *low, char *high)
{
    for (size_t bytes = 0; bytes < 200; bytes++) {
        char *last = high - bytes;

        memset(last, 'x', bytes);
        memset(low, 'x', bytes);
        memcpy(low, last, bytes);
        memcpy(last, low, bytes);
        memmove(last, low, bytes);
        CHECK_EQ(memcmp(low, last, bytes), 0);
        CHECK(!memchr(last, 'y', bytes));
        if (bytes == 0)
            continue;
        high[-1] = 0;
        low[bytes - 1] = 0;
        CHECK_EQ(strlen(last), bytes - 1);
        CHECK_EQ(strlen(low), bytes - 1);
        CHECK_EQ(strcmp(low, last), 0);
        CHECK(!strchr(last, 'y'));
        CHECK(strcpy(low, last) == low);
        CHECK(strncpy(last, low, bytes) == last);
        CHECK_EQ(strnlen(last, bytes), bytes - 1);
    }
}

TEST(memory_edge, "Memory and string functions touch no byte outside their operands' pages.")
{
    char *pages;

    REQUIRE_OK(vm_map((void **)&pages, 3 * PAGE_SIZE, VM_READ | VM_WRITE, "edge"));
    CHECK_OK(vm_unmap(pages, PAGE_SIZE));
    CHECK_OK(vm_unmap(pages + 2 * PAGE_SIZE, PAGE_SIZE));
    at_the_edge(pages + PAGE_SIZE, pages + 2 * PAGE_SIZE);
    CHECK_OK(vm_unmap(pages + PAGE_SIZE, PAGE_SIZE));
}
