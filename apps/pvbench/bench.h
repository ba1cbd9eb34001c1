/*
 * Measuring: one figure is the cost of one operation in ticks of the TSC, from several rounds of n
 * operations each.
 *
 * Under QEMU's -icount shift=0 the TSC counts 1 per instruction (1 GHz of virtual time): ticks are
 * instructions there, the same in every run. The cost of the measuring itself is measured as well
 * and subtracted. Each figure is printed as one line of JSON:
 *
 *     {"figure": ID, "ticks": median, "least": minimum, "ns": of the median, "n": n, "rounds": r}
 *     {"figure": ID, "missing": WHY}
 *
 * Callers: the main thread. Ring 3. Locks: none.
 */
#ifndef APPS_PVBENCH_BENCH_H
#define APPS_PVBENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUNDS 11

struct bench {
    const char *figure;
    unsigned n; /* operations in a round */
    unsigned rounds;
    uint64_t spent, started;
    int64_t ticks[BENCH_ROUNDS]; /* of each round */
};

/* The TSC, not reordered with what stands before and after. */
static inline uint64_t bench_tsc(void)
{
    uint32_t low, high;

    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* Before all else. hz: the TSC's frequency. traced: a figure or NULL, see bench_trace_mark(). */
void bench_init(uint64_t hz, const char *traced);

/* `while (bench_wants(&b))` a round: preparations, bench_start(), n operations, bench_stop().
 * Rounds end early where they take long: on some hosts a hypercall takes as long as a thousand
 * elsewhere. */
bool bench_wants(const struct bench *b);
void bench_start(struct bench *b);
void bench_stop(struct bench *b);
/* A round that was timed otherwise: ticks of n operations, nothing to subtract. */
void bench_add(struct bench *b, uint64_t ticks);

void bench_report(struct bench *b);
void bench_missing(const char *figure, const char *why);

/* All of it for an operation that can be repeated: fn(n, arg) does it n times in a plain loop. */
typedef void bench_fn(unsigned n, void *arg);
void bench_loop(const char *figure, unsigned n, bench_fn *fn, void *arg);

/*
 * Called at begin and end of the second round of the traced figure: tools/benchlib/pvbench.py stops
 * the machine here, and follows the instructions in between.
 */
void bench_trace_mark(void);

#endif
