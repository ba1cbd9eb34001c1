/*
 * Memory runs out: an error, nothing else, and all of it comes back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/page.h"
#include "kernel/sync.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

/* Each test runs several times: page tables and records of the first turns stay where they may be
 * needed again, and only from turn WARM on does memory come back to the page. */
#define TURNS 4
#define WARM 2

/* Blocks that are linked through their first words. */
struct block {
    struct block *next;
    size_t bytes;
};

/* Maps blocks until there is no memory for another; the number of them. */
static unsigned map_all(struct block **list, size_t bytes)
{
    unsigned count = 0;
    void *memory;
    int error;

    while ((error = vm_map(&memory, bytes, VM_READ | VM_WRITE | VM_DIRTY, "block")) == 0) {
        *(struct block *)memory = (struct block){*list, bytes};
        *list = memory;
        count++;
    }
    CHECK_EQ(error, -ENOMEM);
    return count;
}

static void unmap_all(struct block *list)
{
    while (list) {
        struct block *next = list->next;

        CHECK_OK(vm_unmap(list, list->bytes));
        list = next;
    }
}

static void *nothing(void *arg)
{
    return arg;
}

static void divide(void *unused)
{
    (void)unused;
    asm volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" ::: "rax", "rcx", "rdx");
}

/* With hardly a page left: everything says so, and what needs none works. */
static void check_without_memory(void)
{
    struct thread *t;
    void *memory;
    char text[32];

    CHECK_EQ(vm_map(&memory, PAGE_SIZE, VM_READ | VM_WRITE, "one more"), -ENOMEM);
    CHECK_EQ(thread_create(&t, NULL, nothing, NULL), -ENOMEM);
    errno = 0;
    CHECK(!malloc(1 << 20));
    CHECK_EQ(errno, ENOMEM);
    CHECK_FAULT(divide, NULL, TRAP_DIVIDE);
    CHECK_EQ(snprintf(text, sizeof(text), "%d", 42), 2);
    sleep_ms(1);
}

/* First in its file, so that it can be run on its own: nothing was ever freed before. */
TEST(exhaust_pages, "All memory can be mapped; then -ENOMEM; then all of it is free again.")
{
    uint64_t before = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        struct block *list = NULL;

        if (turn == WARM)
            before = free_pages();
        map_all(&list, 1 << 20);
        map_all(&list, PAGE_SIZE);
        CHECK_LT(free_pages(), 8);
        check_without_memory();
        unmap_all(list);
        CHECK_LT(pv_boot.nr_pages / 2, free_pages());
        if (turn >= WARM)
            CHECK_EQ(free_pages(), before);
    }
}

TEST(exhaust_one_map, "A mapping for which memory does not suffice takes none of it.")
{
    void *memory;

    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t before = free_pages();

        CHECK_EQ(vm_map(&memory, (before + 1) * PAGE_SIZE, VM_READ | VM_WRITE, "all and one"),
                 -ENOMEM);
        if (turn >= WARM)
            CHECK_EQ(free_pages(), before);
    }
}

#define MAX_THREADS 20000
static struct semaphore gate;

static void *wait_at_gate(void *arg)
{
    semaphore_wait(&gate);
    return arg;
}

TEST(exhaust_threads, "Threads can be created until there is no memory; they end, and it is back.")
{
    const struct thread_attr attr = {.name = "many", .stack_bytes = 128 * 1024};
    static struct thread *threads[MAX_THREADS];
    uint64_t before = 0;

    semaphore_init(&gate, 0);
    for (int turn = 0; turn < TURNS; turn++) {
        int count = 0, error = 0;

        if (turn == WARM)
            before = free_pages();
        while (count < MAX_THREADS &&
               (error = thread_create(&threads[count], &attr, wait_at_gate, NULL)) == 0)
            count++;
        CHECK_EQ(error, -ENOMEM);
        for (int i = 0; i < count; i++)
            semaphore_post(&gate);
        for (int i = 0; i < count; i++)
            CHECK_OK(thread_join(threads[i], NULL));
        if (turn >= WARM)
            CHECK_EQ(free_pages(), before);
    }
}

static unsigned malloc_all(struct block **list, size_t bytes)
{
    unsigned count = 0;
    struct block *block;

    errno = 0;
    while ((block = malloc(bytes)) != NULL) {
        memset(block, 0x5a, bytes);
        *block = (struct block){*list, bytes};
        *list = block;
        count++;
    }
    CHECK_EQ(errno, ENOMEM);
    return count;
}

TEST(exhaust_malloc, "malloc returns NULL and ENOMEM when memory is out, and all of it comes back.")
{
    unsigned large = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        struct block *list = NULL, *kept = malloc(100);

        unsigned count = malloc_all(&list, 200000);
        malloc_all(&list, 300);
        CHECK(!calloc(1000, 1000));
        void *grown = realloc(kept, 1 << 20);
        if (CHECK(!grown))
            free(kept);
        while (list) {
            struct block *next = list->next;

            free(list);
            list = next;
        }
        if (turn == WARM)
            large = count;
        if (turn > WARM)
            CHECK_EQ(count, large);
    }
    void *half = malloc(pv_boot.nr_pages / 2 * PAGE_SIZE);
    CHECK(half);
    free(half);
    CHECK_LT(pv_boot.nr_pages / 2, free_pages());
}
