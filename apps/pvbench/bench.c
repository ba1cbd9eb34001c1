/* See bench.h. */
#include "apps/pvbench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000.0
#define LEAST_ROUNDS 3
#define TRACED_ROUNDS 2
#define LONGEST_NS 200000000.0 /* of all rounds of a figure, if there were LEAST_ROUNDS */

static double ns_per_tick;
static const char *traced_figure;
static uint64_t empty_round; /* ticks of bench_start() and bench_stop() */

__attribute__((noinline)) void bench_trace_mark(void)
{
    asm volatile("" : : : "memory");
}

/* The first round warms up, the second is traced. */
static void mark(const struct bench *b)
{
    if (b->rounds == TRACED_ROUNDS - 1 && strcmp(b->figure, traced_figure) == 0)
        bench_trace_mark();
}

bool bench_wants(const struct bench *b)
{
    if (traced_figure)
        return b->rounds < TRACED_ROUNDS && strcmp(b->figure, traced_figure) == 0;
    if (b->rounds == BENCH_ROUNDS)
        return false;
    return b->rounds < LEAST_ROUNDS || (double)b->spent * ns_per_tick < LONGEST_NS;
}

void bench_start(struct bench *b)
{
    if (traced_figure)
        mark(b);
    b->started = bench_tsc();
}

void bench_stop(struct bench *b)
{
    uint64_t ticks = bench_tsc() - b->started;

    if (traced_figure)
        mark(b);
    bench_add(b, ticks - empty_round);
}

void bench_add(struct bench *b, uint64_t ticks)
{
    b->ticks[b->rounds++] = (int64_t)ticks;
    b->spent += ticks;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

void bench_report(struct bench *b)
{
    if (!b->rounds)
        return;
    qsort(b->ticks, b->rounds, sizeof(b->ticks[0]), compare);

    double median = (double)b->ticks[b->rounds / 2] / b->n;
    double least = (double)b->ticks[0] / b->n;

    printf("{\"figure\": \"%s\", \"ticks\": %.2f, \"least\": %.2f, \"ns\": %.1f, \"n\": %u, "
           "\"rounds\": %u}\n",
           b->figure, median, least, median * ns_per_tick, b->n, b->rounds);
}

void bench_missing(const char *figure, const char *why)
{
    printf("{\"figure\": \"%s\", \"missing\": \"%s\"}\n", figure, why);
}

/* What every bench_fn has besides its operation. */
static void empty_loop(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        asm volatile("" : : : "memory");
}

static int64_t least_of_loop(unsigned n, bench_fn *fn)
{
    struct bench b = {.n = n};

    while (!traced_figure && b.rounds < BENCH_ROUNDS) {
        bench_start(&b);
        fn(n, NULL);
        bench_stop(&b);
    }
    qsort(b.ticks, b.rounds, sizeof(b.ticks[0]), compare);
    return b.ticks[0];
}

void bench_loop(const char *figure, unsigned n, bench_fn *fn, void *arg)
{
    struct bench b = {.figure = figure, .n = n};
    int64_t loop = least_of_loop(n, empty_loop);

    while (bench_wants(&b)) {
        bench_start(&b);
        fn(n, arg);
        bench_stop(&b);
        b.ticks[b.rounds - 1] -= loop;
    }
    bench_report(&b);
}

void bench_init(uint64_t hz, const char *traced)
{
    struct bench b = {.n = 1};

    ns_per_tick = NS_PER_S / (double)hz;
    while (b.rounds < BENCH_ROUNDS) {
        bench_start(&b);
        bench_stop(&b);
    }
    qsort(b.ticks, b.rounds, sizeof(b.ticks[0]), compare);
    empty_round = (uint64_t)b.ticks[0];
    traced_figure = traced;
}
