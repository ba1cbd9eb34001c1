/*
 * What reading and writing the first disk costs: in order and at random, in blocks of several
 * sizes, by one thread and by several at a time (the queue's depth). It overwrites the disk.
 *
 * usage: diskbench [REQUESTS [KIB [KIND]]]
 *
 *     REQUESTS    of each kind; default 256
 *     KIB         of data, at most, of each kind; default 65536
 *     KIND        only this kind, in the order of the output, from 0
 *
 * Prints one JSON object a line: operation, order, bytes of a request, depth, requests, ns.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/blkdev.h"
#include "kernel/thread.h"

#define MAX_DEPTH 16u
#define NR_KINDS 24u /* operation, order, size, depth: the last changes first */

static struct blkdev *disk;

struct job {
    bool is_write, is_random;
    size_t bytes;
    unsigned nr_requests, next; /* of all threads together: one CPU, and no switch in between */
    uint64_t random;
    int error;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The first sector of the next request: each in turn, or any (xorshift64). */
static uint64_t next_sector(struct job *job)
{
    uint64_t nr_blocks = disk->nr_sectors * BLKDEV_SECTOR_BYTES / job->bytes;
    uint64_t block = job->next++;

    if (job->is_random) {
        job->random ^= job->random << 13;
        job->random ^= job->random >> 7;
        job->random ^= job->random << 17;
        block = job->random;
    }
    return block % nr_blocks * (job->bytes / BLKDEV_SECTOR_BYTES);
}

static void *work(void *pointer)
{
    struct job *job = pointer;
    char *buffer = malloc(job->bytes);

    if (!buffer) {
        job->error = -1;
        return NULL;
    }
    memset(buffer, 0x5a, job->bytes);
    while (job->next < job->nr_requests && job->error == 0) {
        uint64_t sector = next_sector(job);
        int error = job->is_write ? blkdev_write(disk, sector, buffer, job->bytes)
                                  : blkdev_read(disk, sector, buffer, job->bytes);
        if (error != 0)
            job->error = error;
    }
    free(buffer);
    return NULL;
}

static bool measure(struct job *job, unsigned depth)
{
    struct thread *threads[MAX_DEPTH];
    uint64_t start = now_ns();
    unsigned nr = 0;

    while (nr < depth && thread_create(&threads[nr], NULL, work, job) == 0)
        nr++;
    for (unsigned i = 0; i < nr; i++)
        thread_join(threads[i], NULL);
    uint64_t taken = now_ns() - start;
    if (nr < depth || job->error != 0) {
        fprintf(stderr, "diskbench: %s\n",
                nr < depth ? "no memory for threads" : "the disk reports an error");
        return false;
    }
    printf("{\"operation\": \"%s\", \"order\": \"%s\", \"bytes\": %zu, \"depth\": %u, "
           "\"requests\": %u, \"ns\": %llu}\n",
           job->is_write ? "write" : "read", job->is_random ? "random" : "sequential", job->bytes,
           depth, job->nr_requests, (unsigned long long)taken);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {4 << 10, 64 << 10, 1 << 20};
    static const unsigned depths[] = {1, MAX_DEPTH};
    unsigned long nr_requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;
    unsigned long most_kib = argc > 2 ? strtoul(argv[2], NULL, 10) : 64 << 10;
    unsigned long only = argc > 3 ? strtoul(argv[3], NULL, 10) : NR_KINDS;

    disk = blkdev_first();
    if (!disk || disk->nr_sectors * BLKDEV_SECTOR_BYTES < sizes[2] || argc > 4 ||
        nr_requests == 0) {
        fprintf(stderr,
                "usage: diskbench [REQUESTS [KIB [KIND]]], with a disk of at least 1 MiB\n");
        return 2;
    }
    for (unsigned kind = 0; kind < NR_KINDS; kind++) {
        size_t bytes = sizes[kind / 2 % 3], most = (most_kib << 10) / bytes;
        struct job job = {
            .is_write = kind >= NR_KINDS / 2,
            .is_random = kind / 6 % 2 == 1,
            .bytes = bytes,
            .nr_requests = (unsigned)(nr_requests < most ? nr_requests : most),
            .random = 88172645463325252,
        };

        if ((only == NR_KINDS || only == kind) && !measure(&job, depths[kind % 2]))
            return 1;
    }
    return 0;
}
