/*
 * memcpy and its kin, our own (libc-glue/memory.S, string.c, and general.c for event handlers) and
 * newlib's, with all alignments, and right at the edge of what is mapped.
 */
#include <string.h>

#include "kernel/vm.h"
#include "pv/pv.h"
#include "tests/guest/test.h"

#define ROOM 600

/* What kernel/general.h puts in the place of the others. */
void *general_memmove(void *to, const void *from, size_t bytes);
int general_memcmp(const void *a, const void *b, size_t bytes);
size_t general_strlen(const char *s);
void *general_memchr(const void *s, int c, size_t bytes);
char *general_strchr(const char *s, int c);

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
        memcpy(buffer + to, scratch, bytes);
        compare("memcpy from elsewhere", to, 0, bytes);

        fill(&random);
        for (size_t j = 0; j < bytes; j++)
            scratch[j] = model[from + j];
        for (size_t j = 0; j < bytes; j++)
            *(volatile uint8_t *)&model[to + j] = scratch[j];
        CHECK(general_memmove(buffer + to, buffer + from, bytes) == buffer + to);
        compare("general_memmove", to, from, bytes);

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

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static size_t length_by_loop(const volatile char *s, const char *stop)
{
    for (size_t i = 0;; i++)
        for (const char *c = stop;; c++)
            if (s[i] == *c)
                return i;
            else if (!*c)
                break;
}

static void check_search(const char *s, size_t bytes, const char *stop)
{
    size_t length = length_by_loop(s, ""), span = length_by_loop(s, stop);
    const char *there = NULL, *first = NULL;
    char c = stop[0];

    for (size_t i = 0; i < bytes && !there; i++)
        if (*(volatile const char *)&s[i] == c)
            there = s + i;
    for (size_t i = 0; i <= length && !first; i++)
        if (*(volatile const char *)&s[i] == c)
            first = s + i;
    CHECK_EQ(strlen(s), length);
    CHECK_EQ(general_strlen(s), length);
    CHECK_EQ(strcspn(s, stop), span);
    CHECK(memchr(s, c, bytes) == there);
    CHECK(general_memchr(s, c, bytes) == there);
    CHECK(strchr(s, c) == first);
    CHECK(general_strchr(s, c) == first);
}

TEST(memory_search, "strlen, strchr, strcspn, memchr and memcmp find what a loop over bytes finds.")
{
    struct random random = RANDOM(5);
    const uint64_t rounds = scaled(20000);

    for (uint64_t i = 0; i < rounds && !test_has_failed(); i++) {
        size_t bytes = random_below(&random, ROOM / 2 - 32);
        char *s = (char *)buffer + random_below(&random, 32);
        char *other = (char *)buffer + ROOM / 2 + random_below(&random, 32);
        uint32_t seldom = 1 + random_below(&random, 40);
        char stop[6] = "";

        for (size_t j = 0; j < random_below(&random, sizeof(stop)); j++)
            stop[j] = (char)(0x7e + random_below(&random, 4));
        for (size_t j = 0; j < bytes; j++)
            s[j] = other[j] =
                (char)(random_below(&random, seldom) ? 'a' : 0x7d + random_below(&random, 6));
        s[bytes] = 0;
        check_search(s, random_below(&random, (uint32_t)bytes + 1), stop);

        CHECK_EQ(memcmp(s, other, bytes), 0);
        CHECK_EQ(general_memcmp(s, other, bytes), 0);
        if (bytes == 0)
            continue;
        size_t at = random_below(&random, (uint32_t)bytes);
        int expected = s[at] == 0 ? -1 : 1;

        other[at] = s[at] == 0 ? (char)0xff : 0;
        for (size_t j = at + 1; j < bytes; j++) /* what comes later decides nothing */
            other[j] = (char)random_next(&random);
        CHECK_EQ(sign(memcmp(s, other, bytes)), expected);
        CHECK_EQ(sign(general_memcmp(s, other, bytes)), expected);
        CHECK_EQ(sign(memcmp(other, s, bytes)), -expected);
        CHECK_EQ(memcmp(s, other, at), 0);
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
        CHECK_EQ(general_memcmp(low, last, bytes), 0);
        general_memmove(low, last, bytes);
        CHECK(!memchr(last, 'y', bytes));
        if (bytes == 0)
            continue;
        high[-1] = 0;
        low[bytes - 1] = 0;
        CHECK_EQ(strlen(last), bytes - 1);
        CHECK_EQ(strlen(low), bytes - 1);
        CHECK_EQ(strcmp(low, last), 0);
        CHECK(!strchr(last, 'y'));
        CHECK_EQ(strcspn(last, "y"), bytes - 1);
        CHECK_EQ(strcspn(low, "yz"), bytes - 1);
        CHECK_EQ(strcspn(last, "wvyz"), bytes - 1);
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
