/*
 * Uses memory as its input says, and tells of it, while the host takes memory away and gives it
 * back (tests/host/balloon.py). Each line of input is answered by one line:
 *
 *     size        how much memory there is, and how much of it is free, in KiB
 *     fill KIB    takes so much, and keeps a pattern in it
 *     holes KIB   takes so much in blocks of a few pages, and gives up every other one
 *     check       whether the patterns are still there
 *     drop        gives it up
 *     stress      two threads take memory, use it and give it up, until
 *     stop
 *     end
 */
#include <parvus.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/thread.h"
#include "kernel/vm.h"

#define WORKERS 2
#define MOST_PAGES 512

static uint64_t *kept;
static size_t kept_words;

static uint64_t pattern(uint64_t seed, size_t at)
{
    return (seed + at) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *memory, size_t words, uint64_t seed)
{
    for (size_t i = 0; i < words; i++)
        memory[i] = pattern(seed, i);
}

static bool is_filled(const uint64_t *memory, size_t words, uint64_t seed)
{
    for (size_t i = 0; i < words; i++)
        if (memory[i] != pattern(seed, i))
            return false;
    return true;
}

static volatile bool shall_stop;
static struct worker {
    struct thread *thread;
    uint64_t random;
    unsigned long rounds, wrong, refused;
} workers[WORKERS];

static uint32_t next_random(struct worker *w)
{
    w->random = w->random * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(w->random >> 33);
}

/* One region after another, of the heap or of its own. */
static void *work(void *arg)
{
    struct worker *w = arg;

    for (; !shall_stop; w->rounds++) {
        size_t bytes = (1 + next_random(w) % MOST_PAGES) * PAGE_SIZE,
               words = bytes / sizeof(uint64_t);
        bool of_heap = next_random(w) % 2;
        void *memory = NULL;

        if (of_heap)
            memory = malloc(bytes);
        else if (vm_map(&memory, bytes, VM_READ | VM_WRITE, "stress") != 0)
            memory = NULL;
        if (!memory) {
            w->refused++;
            thread_yield();
            continue;
        }
        fill(memory, words, w->random);
        thread_yield();
        w->wrong += !is_filled(memory, words, w->random);
        if (of_heap)
            free(memory);
        else
            vm_unmap(memory, bytes);
    }
    return NULL;
}

static void start(void)
{
    shall_stop = false;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.random = i + 1};
        if (thread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    puts("started");
}

static void stop(void)
{
    unsigned long rounds = 0, wrong = 0, refused = 0;

    shall_stop = true;
    for (unsigned i = 0; i < WORKERS; i++) {
        thread_join(workers[i].thread, NULL);
        rounds += workers[i].rounds;
        wrong += workers[i].wrong;
        refused += workers[i].refused;
    }
    printf("stopped: %lu rounds, %lu wrong, %lu refused\n", rounds, wrong, refused);
}

static void take(size_t kib)
{
    kept_words = kib * 1024 / sizeof(uint64_t);
    kept = malloc(kib * 1024);
    if (!kept)
        kept_words = 0;
    else
        fill(kept, kept_words, 1);
    puts(kept ? "filled" : "refused");
}

#define MAX_BLOCKS 4096

static struct {
    uint64_t *memory;
    size_t bytes;
} blocks[MAX_BLOCKS];
static unsigned nr_blocks;

static void make_holes(size_t kib)
{
    size_t total = 0;

    for (nr_blocks = 0; nr_blocks < MAX_BLOCKS && total < kib * 1024; nr_blocks++) {
        size_t bytes = (1 + nr_blocks % 16) * PAGE_SIZE;
        void *memory;

        if (vm_map(&memory, bytes, VM_READ | VM_WRITE, "block") != 0)
            break;
        blocks[nr_blocks].memory = memory;
        blocks[nr_blocks].bytes = bytes;
        fill(memory, bytes / sizeof(uint64_t), nr_blocks);
        total += bytes;
    }
    for (unsigned i = 0; i < nr_blocks; i += 2)
        vm_unmap(blocks[i].memory, blocks[i].bytes);
    puts(total < kib * 1024 ? "refused" : "made");
}

static void drop(void)
{
    for (unsigned i = 1; i < nr_blocks; i += 2)
        vm_unmap(blocks[i].memory, blocks[i].bytes);
    nr_blocks = 0;
    free(kept);
    kept = NULL;
    kept_words = 0;
    puts("dropped");
}

static void check(void)
{
    bool is_good = is_filled(kept, kept_words, 1);

    for (unsigned i = 1; i < nr_blocks; i += 2)
        is_good = is_good && is_filled(blocks[i].memory, blocks[i].bytes / sizeof(uint64_t), i);
    puts(is_good ? "unchanged" : "changed");
}

static void tell_size(void)
{
    struct parvus_info info;

    parvus_info(&info);
    printf("size: %lu KiB, %lu free\n", (unsigned long)info.memory_bytes / 1024,
           (unsigned long)info.memory_free_bytes / 1024);
}

int main(void)
{
    char line[80];

    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n") != 0) {
        if (strncmp(line, "fill ", 5) == 0)
            take(strtoul(line + 5, NULL, 10));
        else if (strncmp(line, "holes ", 6) == 0)
            make_holes(strtoul(line + 6, NULL, 10));
        else if (strcmp(line, "size\n") == 0)
            tell_size();
        else if (strcmp(line, "check\n") == 0)
            check();
        else if (strcmp(line, "drop\n") == 0)
            drop();
        else if (strcmp(line, "stress\n") == 0)
            start();
        else if (strcmp(line, "stop\n") == 0)
            stop();
        else
            puts("what?");
        fflush(stdout);
    }
    puts("end");
    return 0;
}
