/*
 * The state of the FPU across preemption: every register and both control words, per thread.
 *
 * Each worker loads its own values, spins in registers alone, and compares, all in one asm
 * statement, so that no compiled code is in between.
 */
#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/thread.h"
#include "tests/guest/test.h"

#define WORKERS 5

static atomic_uint running;
static atomic_uint overlaps; /* how often a worker saw that another one had run inside its spin */
static atomic_uint last_worker;
static atomic_bool stop;

static uint32_t spin_count(void)
{
    return 200000;
}

static bool has_avx(void)
{
    unsigned eax, ebx, ecx, edx, low, high;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_AVX) || !(ecx & bit_OSXSAVE))
        return false;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 7) == 7; /* x87, SSE, AVX */
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    struct random random = RANDOM(seed + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_next(&random);
}

#define EACH_16(m)                                                                                 \
    m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
#define LOAD_XMM(n) "movdqu " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n\t"
#define LOAD_YMM(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n\t"
#define SPIN "1: dec %[count]\n\tjnz 1b\n\t"
#define ALL_XMM                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void spin_with_xmm(const uint8_t *in, uint8_t *out)
{
    uint32_t count = spin_count();

    asm volatile(EACH_16(LOAD_XMM) SPIN EACH_16(STORE_XMM)
                 : [count] "+r"(count)
                 : [in] "r"(in), [out] "r"(out)
                 : "memory", "cc", ALL_XMM);
}

static void spin_with_ymm(const uint8_t *in, uint8_t *out)
{
    uint32_t count = spin_count();

    asm volatile(EACH_16(LOAD_YMM) SPIN EACH_16(STORE_YMM) "vzeroupper"
                 : [count] "+r"(count)
                 : [in] "r"(in), [out] "r"(out)
                 : "memory", "cc", ALL_XMM);
}

/* Leaves the x87 stack, which holds four numbers, and the control words to be compared. */
static void spin_with_x87(const double *in, double *out, uint16_t *cw, uint32_t *mxcsr)
{
    uint32_t count = spin_count();

    asm volatile("fldcw %[cw]; ldmxcsr %[mxcsr]\n\t"
                 "fldl (%[in]); fldl 8(%[in]); fldl 16(%[in]); fldl 24(%[in])\n\t" SPIN
                 "fstpl 24(%[out]); fstpl 16(%[out]); fstpl 8(%[out]); fstpl (%[out])\n\t"
                 "fnstcw %[cw]; stmxcsr %[mxcsr]"
                 : [count] "+r"(count), [cw] "+m"(*cw), [mxcsr] "+m"(*mxcsr)
                 : [in] "r"(in), [out] "r"(out)
                 : "memory", "cc");
}

static void restore_control(void)
{
    static const uint16_t cw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;

    asm volatile("fldcw %0; ldmxcsr %1" ::"m"(cw), "m"(mxcsr));
}

/* Whether another worker has been here since this one's last call. */
static void note_overlap(unsigned me)
{
    if (atomic_exchange(&last_worker, me) != me)
        atomic_fetch_add(&overlaps, 1);
}

static void check_vectors(unsigned me, bool avx)
{
    uint8_t in[16 * 32], out[16 * 32];
    size_t bytes = avx ? sizeof(in) : sizeof(in) / 2;

    fill(in, sizeof(in), me);
    memset(out, 0, sizeof(out));
    if (avx)
        spin_with_ymm(in, out);
    else
        spin_with_xmm(in, out);
    if (memcmp(in, out, bytes) != 0)
        FAIL("vector registers of worker %u changed", me);
}

static void check_x87(unsigned me)
{
    const double in[4] = {me + 0.25, me * 3.5, -1.0 * me, 1e100 * (me + 1)};
    double out[4] = {0};
    /* Rounding control, bits 10..11 and 13..14: each worker has another one, except the fifth. */
    const uint16_t cw = (uint16_t)(0x37f & ~0xc00) | (uint16_t)((me & 3) << 10);
    const uint32_t mxcsr = 0x1f80 | (me & 3) << 13;
    uint16_t cw_after = cw;
    uint32_t mxcsr_after = mxcsr;

    spin_with_x87(in, out, &cw_after, &mxcsr_after);
    restore_control();
    CHECK_EQ(cw_after, cw);
    CHECK_EQ(mxcsr_after, mxcsr);
    for (int i = 0; i < 4; i++)
        if (memcmp(&in[i], &out[i], sizeof(in[i])) != 0)
            FAIL("x87 register %d of worker %u changed", i, me);
}

/* Goes on until each worker was preempted in the midst at least a few times. */
static void *fpu_worker(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    bool avx = has_avx();

    atomic_fetch_add(&running, 1);
    for (int turn = 0; turn < 3000 && !atomic_load(&stop) && !test_has_failed(); turn++) {
        check_vectors(me, false);
        if (avx)
            check_vectors(me, true);
        check_x87(me);
        note_overlap(me);
        if (atomic_load(&overlaps) > 4 * WORKERS)
            atomic_store(&stop, true);
    }
    return NULL;
}

TEST(fpu_preemption,
     "Vector and x87 registers and control words survive preemption by other users.")
{
    struct thread *t[WORKERS];

    atomic_store(&running, 0);
    atomic_store(&overlaps, 0);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < WORKERS; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, fpu_worker, (void *)i));
    for (int i = 0; i < WORKERS; i++)
        CHECK_OK(thread_join(t[i], NULL));
    CHECK_EQ(atomic_load(&running), WORKERS);
    CHECK_LT(WORKERS, atomic_load(&overlaps));
}

/* A chain in which every rounding matters: the same steps give the same bits. */
static double chain(unsigned seed)
{
    double x = seed + 1;

    for (int i = 1; i < 100000; i++)
        x = x * 0.999 + (seed + 0.5) / i;
    return x;
}

static double expected[WORKERS];

static void *compute(void *arg)
{
    uintptr_t me = (uintptr_t)arg;

    for (int i = 0; i < 20; i++) {
        double result = chain((unsigned)me);

        if (memcmp(&result, &expected[me], sizeof(result)) != 0)
            FAIL("worker %lu computed something else", me);
    }
    return NULL;
}

TEST(fpu_compute, "Threads that compute at the same time get what each gets alone.")
{
    struct thread *t[WORKERS];

    for (unsigned i = 0; i < WORKERS; i++)
        expected[i] = chain(i);
    for (uintptr_t i = 0; i < WORKERS; i++)
        REQUIRE_OK(thread_create(&t[i], NULL, compute, (void *)i));
    for (int i = 0; i < WORKERS; i++)
        CHECK_OK(thread_join(t[i], NULL));
}

static void *check_defaults(void *unused)
{
    uint16_t cw;
    uint32_t mxcsr;

    asm volatile("fnstcw %0; stmxcsr %1" : "=m"(cw), "=m"(mxcsr));
    CHECK_EQ(cw, 0x37f);
    CHECK_EQ(mxcsr & ~0x3fu, 0x1f80);
    return unused;
}

TEST(fpu_defaults,
     "A new thread starts with the default control words, whatever its creator's are.")
{
    static const uint16_t cw = 0x77f;
    static const uint32_t mxcsr = 0x3f80;
    struct thread *t;

    check_defaults(NULL);
    asm volatile("fldcw %0; ldmxcsr %1" ::"m"(cw), "m"(mxcsr));
    int error = thread_create(&t, NULL, check_defaults, NULL);
    if (!error)
        error = thread_join(t, NULL);
    restore_control();
    CHECK_OK(error);
}
