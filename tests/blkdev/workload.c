/*
 * The workload: several threads, each with a part of the disk of its own, in which it writes,
 * zeroes, discards and reads, and now and then flushes the disk. What operation `i` of thread `t`
 * is follows from seed, t and i alone, so that whoever looks at the disk afterwards knows.
 *
 * After each flush a line `flushed N N ...` says how many operations of each thread had completed
 * before the flush began: those are on the disk for good.
 */
#include "tests/blkdev/workload.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/thread.h"

#define NR_THREADS 6u
#define PART_SECTORS 256u
#define MOST_SECTORS 40u
#define WORDS (BLKDEV_SECTOR_BYTES / sizeof(uint64_t))

enum kind { WRITE, ZERO, DISCARD, FLUSH, READ };

struct operation {
    enum kind kind;
    unsigned start, count; /* sectors of the part */
};

/* What a sector must read as. */
enum { UNKNOWN = 0, ZEROES = UINT32_MAX };

struct part {
    struct blkdev *disk;
    uint32_t seed;
    unsigned number;
    uint32_t writer[PART_SECTORS]; /* UNKNOWN, ZEROES, or the operation that wrote it, plus 1 */
    uint64_t buffer[MOST_SECTORS * WORDS];
};

static atomic_uint completed[NR_THREADS];

/* The finalizer of MurmurHash3, whose output any bit of the input changes. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static uint64_t tag_of(const struct part *part, uint32_t i)
{
    return (uint64_t)part->seed << 40 | (uint64_t)part->number << 32 | (i + 1);
}

static struct operation operation_of(const struct part *part, uint32_t i)
{
    static const enum kind kinds[16] = {WRITE, WRITE, WRITE,   WRITE, WRITE, WRITE, WRITE, WRITE,
                                        ZERO,  ZERO,  DISCARD, FLUSH, FLUSH, READ,  READ,  READ};
    uint64_t random = mix(tag_of(part, i));
    struct operation op = {.kind = kinds[random & 15],
                           .start = (random >> 8 & 0xffff) % PART_SECTORS};
    unsigned count = 1 + (unsigned)(random >> 32) % MOST_SECTORS;

    op.count = count < PART_SECTORS - op.start ? count : PART_SECTORS - op.start;
    return op;
}

static int flush(struct part *part)
{
    char line[16 * NR_THREADS];
    unsigned before[NR_THREADS];
    int used = 0;

    for (unsigned t = 0; t < NR_THREADS; t++)
        before[t] = atomic_load(&completed[t]);
    int error = blkdev_flush(part->disk);
    if (error)
        return error;
    for (unsigned t = 0; t < NR_THREADS; t++)
        used += snprintf(line + used, sizeof(line) - (size_t)used, " %u", before[t]);
    printf("flushed%s\n", line);
    return 0;
}

/* Sector `at` of the part as operation i writes it: tag and sector, alternately. */
static void fill(const struct part *part, uint64_t *words, uint32_t i, uint64_t at)
{
    for (unsigned w = 0; w < WORDS; w += 2) {
        words[w] = tag_of(part, i);
        words[w + 1] = part->number * PART_SECTORS + at;
    }
}

static int check_read(struct part *part, const struct operation *op)
{
    static const uint64_t zeroes[WORDS];
    uint64_t expected[WORDS];
    int error = blkdev_read(part->disk, part->number * PART_SECTORS + op->start, part->buffer,
                            op->count * BLKDEV_SECTOR_BYTES);

    for (unsigned s = 0; s < op->count && !error; s++) {
        uint32_t writer = part->writer[op->start + s];

        if (writer != UNKNOWN && writer != ZEROES)
            fill(part, expected, writer - 1, op->start + s);
        if (writer != UNKNOWN &&
            memcmp(&part->buffer[s * WORDS], writer == ZEROES ? zeroes : expected,
                   BLKDEV_SECTOR_BYTES) != 0) {
            printf("workload: sector %u of part %u is 0x%lx instead of by operation %u\n",
                   op->start + s, part->number, (unsigned long)part->buffer[s * WORDS], writer - 1);
            error = -EILSEQ;
        }
    }
    return error;
}

static int do_operation(struct part *part, uint32_t i, const struct operation *op)
{
    uint64_t sector = part->number * PART_SECTORS + op->start;

    switch (op->kind) {
    case WRITE:
        for (unsigned s = 0; s < op->count; s++)
            fill(part, &part->buffer[s * WORDS], i, op->start + s);
        return blkdev_write(part->disk, sector, part->buffer, op->count * BLKDEV_SECTOR_BYTES);
    case ZERO:
        return blkdev_write_zeroes(part->disk, sector, op->count);
    case DISCARD:
        return blkdev_discard(part->disk, sector, op->count);
    case FLUSH:
        return flush(part);
    case READ:
        break;
    }
    return check_read(part, op);
}

static void note(struct part *part, uint32_t i, const struct operation *op)
{
    for (unsigned s = op->start; s < op->start + op->count; s++) {
        if (op->kind == WRITE)
            part->writer[s] = i + 1;
        else if (op->kind == ZERO)
            part->writer[s] = ZEROES;
        else if (op->kind == DISCARD)
            part->writer[s] = UNKNOWN;
    }
}

static void *work(void *arg)
{
    struct part *part = arg;
    int error = 0;

    for (uint32_t i = 0; !error; i++) {
        struct operation op = operation_of(part, i);

        error = do_operation(part, i, &op);
        if (error)
            printf("workload: operation %u of part %u (kind %u): error %d\n", i, part->number,
                   op.kind, -error);
        note(part, i, &op);
        atomic_store(&completed[part->number], i + 1);
    }
    return NULL;
}

int workload_run(struct blkdev *disk, uint32_t seed)
{
    struct part *parts = calloc(NR_THREADS, sizeof(*parts));
    struct thread *threads[NR_THREADS];

    if (!parts)
        return -ENOMEM;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (unsigned t = 0; t < NR_THREADS; t++) {
        parts[t] = (struct part){.disk = disk, .seed = seed, .number = t};
        int error = thread_create(&threads[t], NULL, work, &parts[t]);
        if (error)
            return error;
    }
    for (unsigned t = 0; t < NR_THREADS; t++)
        thread_join(threads[t], NULL);
    free(parts);
    return -EIO;
}
