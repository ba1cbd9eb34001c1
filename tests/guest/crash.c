/*
 * See crash.h. One function per end, in the order of tests/host/crashes.py.
 */
#include "tests/guest/crash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <unistd.h>
#include <wchar.h>

#include "kernel/clock.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/vm.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

#define SURVIVED 99 /* no crash: an exit status that nobody expects */

/* --- Ordinary ends -------------------------------------------------------------------------- */

static void return_0(void)
{
    exit(0);
}

static void return_7(void)
{
    exit(7);
}

static void return_255(void)
{
    exit(255);
}

/* The status of a crash as the host's tool gives it: must differ from one all the same. */
static void return_134(void)
{
    exit(134);
}

static void first_handler(void)
{
    puts("first handler");
}

static void second_handler(void)
{
    puts("second handler");
}

/* Handlers run backwards, and what is still in a buffer is printed. */
static void exit_handlers(void)
{
    atexit(first_handler);
    atexit(second_handler);
    setvbuf(stdout, NULL, _IOFBF, 512);
    printf("unfinished line");
    exit(3);
}

static void exit_at_once(void)
{
    atexit(first_handler);
    _exit(4);
}

static void *exit_thread(void *unused)
{
    exit(5);
    return unused;
}

/* Much output, and the end right behind it. */
static void write_much(void)
{
    for (int i = 0; i < 5000; i++)
        printf("line %d of a text that is longer than any buffer on its way\n", i);
}

static void output_then_exit(void)
{
    write_much();
    exit(9);
}

static void output_then_panic(void)
{
    write_much();
    fflush(stdout);
    panic("after the last line");
}

/* For a hypervisor that gives no second stack, so that it ends the domain itself. */
static void output_then_killed(void)
{
    write_much();
    fflush(stdout);
    asm volatile("mov $0x1000, %rsp; ud2");
}

/* Everything that is typed, until its end: how many bytes, and a sum that depends on their order.
 */
static void sum_of_input(void)
{
    unsigned long bytes = 0, sum = 0;
    int c;

    while ((c = getchar()) != EOF) {
        bytes++;
        sum = (sum * 31 + (unsigned)c) % 1000000007;
    }
    printf("input: %lu bytes, sum %lu\n", bytes, sum);
    exit(0);
}

/* Whether all of a large part of the free memory keeps what is written to it. */
static bool memory_works(void)
{
    struct page_counts counts;

    page_counts(&counts);
    size_t words = counts.free_pages / 4 * 3 * PAGE_SIZE / sizeof(uint64_t);
    uint64_t *memory = malloc(words * sizeof(*memory));
    bool works = memory != NULL;

    for (size_t i = 0; works && i < words; i++)
        memory[i] = i * 0x9e3779b97f4a7c15;
    for (size_t i = 0; works && i < words; i++)
        works = memory[i] == i * 0x9e3779b97f4a7c15;
    free(memory);
    return works;
}

static bool is_size(const char *size)
{
    struct page_counts counts;

    page_counts(&counts);
    unsigned long kib = counts.total_pages * PAGE_SIZE / 1024;
    return *size == '<' ? kib < strtoul(size + 1, NULL, 10) : kib == strtoul(size, NULL, 10);
}

/* Waits until the memory is as large as each of $SIZES in turn, in KiB, or smaller: `<KIB`. */
static void memory_sizes(void)
{
    char *sizes = getenv("SIZES");

    for (char *size = strtok(sizes, " "); size; size = strtok(NULL, " ")) {
        while (!is_size(size))
            usleep(1000);
        printf("memory: %s KiB, %s\n", size, memory_works() ? "usable" : "broken");
    }
    exit(0);
}

/* Another thread ends the guest while this one waits for it. */
static void exit_from_thread(void)
{
    struct thread *t;

    if (thread_create(&t, NULL, exit_thread, NULL) == 0)
        thread_join(t, NULL);
}

static void *spin(void *unused)
{
    for (;;)
        asm volatile("pause");
    return unused;
}

static void exit_among_spinners(void)
{
    struct thread *t;

    for (int i = 0; i < 4; i++)
        thread_create(&t, NULL, spin, NULL);
    thread_yield();
    exit(6);
}

static void *outlive(void *unused)
{
    sleep_ms(5);
    puts("the last thread");
    fflush(stdout);
    return unused;
}

static void main_thread_ends(void)
{
    struct thread *t;

    if (thread_create(&t, NULL, outlive, NULL) == 0)
        thread_exit(NULL);
}

static void hang(void)
{
    spin(NULL);
}

/* --- Signals -------------------------------------------------------------------------------- */

/* The default action of SIGALRM, which comes while the thread computes. */
static void alarm_by_default(void)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 1000}};

    setitimer(ITIMER_REAL, &soon, NULL);
    for (volatile bool ever = true; ever;)
        ;
}

static void fault_again(int sig)
{
    (void)sig;
    puts("the handler");
    access_read((void *)24);
}

/* A fault whose signal is blocked is the crash that it is without a handler. */
static void fault_in_handler(void)
{
    signal(SIGSEGV, fault_again);
    access_read((void *)16);
}

static void *end_later(void *unused)
{
    thread_sleep_until(clock_monotonic_ns() + 50 * NS_PER_MS);
    puts("the last thread");
    return unused;
}

/* As exit(0): handlers run. */
static void last_thread_ends(void)
{
    pthread_t thread;

    atexit(first_handler);
    pthread_create(&thread, NULL, end_later, NULL);
    pthread_exit(NULL);
}

/* --- Faults --------------------------------------------------------------------------------- */

static void null_read(void)
{
    access_read((void *)16);
}

static void null_write(void)
{
    access_write((void *)16);
}

static void null_call(void)
{
    access_call(NULL);
}

static void wild_write(void)
{
    access_write((void *)0x123456789000);
}

static void text_write(void)
{
    access_write((void *)(uintptr_t)null_read);
}

static void rodata_write(void)
{
    access_write((void *)(uintptr_t) "constant");
}

static void data_call(void)
{
    static uint8_t code[] = {0xc3};

    access_call(code);
}

static void stack_call(void)
{
    volatile uint8_t code[] = {0xc3};

    access_call((void *)(uintptr_t)code);
}

static void divide_by_zero(void)
{
    volatile int zero = 0, some = 100;

    printf("%d\n", some / zero);
}

static void undefined_instruction(void)
{
    asm volatile("ud2");
}

static void non_canonical(void)
{
    access_read((void *)0x800000000000);
}

static void hypervisor_memory(void)
{
    access_write((void *)0xffff830000000000);
}

/* Bytes that the build's check would refuse, made executable at run time. */
static void run_bytes(const uint8_t *bytes, size_t count)
{
    void *page;

    if (vm_map(&page, PAGE_SIZE, VM_READ | VM_WRITE, "forbidden code") == 0) {
        memcpy(page, bytes, count);
        if (vm_protect(page, PAGE_SIZE, VM_READ | VM_EXEC) == 0)
            access_call(page);
    }
}

static void privileged_hlt(void)
{
    static const uint8_t hlt[] = {0xf4, 0xc3};

    run_bytes(hlt, sizeof(hlt));
}

static void privileged_cr3(void)
{
    static const uint8_t load_cr3[] = {0x31, 0xc0, 0x0f, 0x22, 0xd8, 0xc3}; /* with 0 */

    run_bytes(load_cr3, sizeof(load_cr3));
}

/* --- Stacks --------------------------------------------------------------------------------- */

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[128];

    frame[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void main_overflow(void)
{
    recurse(0);
}

static void *overflow(void *unused)
{
    recurse(0);
    return unused;
}

static void thread_overflow(void)
{
    const struct thread_attr attr = {.name = "burrower"};
    struct thread *t;

    if (thread_create(&t, &attr, overflow, NULL) == 0)
        thread_join(t, NULL);
}

/* A frame larger than the guard page, whose near end is touched last. */
static __attribute__((noinline)) void *step_over(void *unused)
{
    volatile char frame[3 * THREAD_STACK_DEFAULT_BYTES];

    frame[0] = 1;
    return unused ? (void *)(uintptr_t)frame[100] : NULL;
}

static void guard_overstepped(void)
{
    const struct thread_attr attr = {.name = "strider"};
    struct thread *t;

    if (thread_create(&t, &attr, step_over, NULL) == 0)
        thread_join(t, NULL);
}

static void stack_pointer_lost(void)
{
    asm volatile("mov $0x1000, %rsp; push %rax");
}

static void stack_pointer_into_hypervisor(void)
{
    asm volatile("mov $0xffff830000100000, %rsp; ud2");
}

/* --- What the library notices --------------------------------------------------------------- */

static void failed_assertion(void)
{
    volatile int one = 1;

    assert(one == 2);
}

static void call_abort(void)
{
    abort();
}

/* As a copy with a wrong length does: beyond a local array, as far as the canary. */
static __attribute__((noipa)) void overrun_stack(volatile size_t bytes)
{
    char local[40];

    for (volatile char *p = local; p < local + bytes; p++)
        *p = 'x';
}

static void stack_overrun(void)
{
    overrun_stack(64);
}

static void *overrun_in_thread(void *unused)
{
    overrun_stack(64);
    return unused;
}

static void stack_overrun_in_thread(void)
{
    const struct thread_attr attr = {.name = "scribbler"};
    struct thread *t;

    if (thread_create(&t, &attr, overrun_in_thread, NULL) == 0)
        thread_join(t, NULL);
}

static void double_free(void)
{
    void *volatile block = malloc(1000), *other = malloc(1000);

    free(block);
    free(block);
    free(other);
}

static void heap_overrun(void)
{
    char *volatile block = malloc(40), *next = malloc(40);

    for (volatile char *p = block; p < block + 80; p++)
        *p = 'x';
    free(next);
    free(block);
}

/* Behind the block, where the compiler does not see it. */
static void write_beyond(void *block, size_t bytes)
{
    volatile char *volatile behind = (volatile char *)block + bytes;

    *behind ^= 0x20;
}

/* The block's neighbour is to know that somebody wrote over its size. */
static void heap_overrun_by_one(void)
{
    void *volatile block = malloc(40), *volatile next = malloc(40);

    write_beyond(block, 40);
    free(block);
    free(next);
}

static void heap_overrun_into_last(void)
{
    void *volatile block = malloc(40);

    write_beyond(block, 40); /* there is what was never allocated */
    block = malloc(1000);
}

/* What a block that is free holds leads malloc to the others. */
static void heap_free_list(void)
{
    void *volatile other = malloc(1000); /* not to be one with what was free before */
    void *volatile *volatile block = malloc(1000);

    other = malloc(1000);
    free((void *)(uintptr_t)block);
    block[0] = block[1] = other;
    block = malloc(1000);
    block = malloc(1000);
}

static void realloc_of_freed(void)
{
    void *volatile block = malloc(1000), *volatile other = malloc(1000);

    free(block);
    block = realloc(block, 2000);
    free(other);
}

static void printf_count(void)
{
    char format[] = "four%n";
    int count = 0;

    printf("four%n: a constant\n", &count);
    if (count == 4)
        printf(format, &count);
}

static void snprintf_count(void)
{
    char format[] = "four%hhn", out[8];
    signed char count;

    snprintf(out, sizeof(out), format, &count);
}

static void wprintf_count(void)
{
    wchar_t format[] = L"four%n";
    int count;

    wprintf(format, &count);
}

/* The compiler knows the object's size, not how much is copied. */
static void fortified_memcpy(void)
{
    volatile size_t bytes = 41;
    char small[40], large[80] = "x";

    memcpy(small, large, bytes);
    puts(small);
}

static void fortified_sprintf(void)
{
    const char *volatile text = "longer than it may be";
    char small[8];

    sprintf(small, "%s", text);
    puts(small);
}

static void free_of_stack(void)
{
    char local[64] = "not from malloc";
    void *volatile block = local + 16;

    free(block);
}

/* --- Panics in odd places ------------------------------------------------------------------- */

static void panic_here(void *unused)
{
    (void)unused;
    panic("on purpose, number %d", 42);
}

static void panic_directly(void)
{
    panic_here(NULL);
}

static void fault_here(void *unused)
{
    (void)unused;
    null_write();
}

/* fn runs in event context, with events masked. */
static void in_event(void (*fn)(void *))
{
    static struct timer timer;

    timer_set(&timer, ms_from_now(1), fn, NULL);
    sleep_ms(1000);
}

static void panic_in_event(void)
{
    in_event(panic_here);
}

static void fault_in_event(void)
{
    in_event(fault_here);
}

static void *fault_thread(void *unused)
{
    null_read();
    return unused;
}

static void fault_in_thread(void)
{
    const struct thread_attr attr = {.name = "culprit"};
    struct thread *t;

    if (thread_create(&t, &attr, fault_thread, NULL) == 0)
        thread_join(t, NULL);
}

/* --- The end of memory ---------------------------------------------------------------------- */

static void heap_exhausted(void)
{
    size_t blocks = 0;

    while (malloc(100000))
        blocks++;
    printf("%s after more than %d blocks\n", "malloc returned NULL", blocks > 10 ? 10 : 0);
    exit(8);
}

/* --- A handler in the middle of malloc ------------------------------------------------------ */

static volatile unsigned handled;

static void allocate(int unused)
{
    (void)unused;
    for (size_t bytes = 16; bytes < 2000; bytes += 300)
        free(malloc(bytes));
    handled++;
}

/* There must be no other thread. The next signal comes only once the last one was handled, so that
 * a slow host gets on. */
static void handler_allocates(void)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 100}};
    static void *blocks[64];

    signal(SIGALRM, allocate);
    for (unsigned i = 0, seen = UINT_MAX; handled < 300; i++) {
        void **block = &blocks[i * 17 % 64];

        if (seen != handled) {
            seen = handled;
            setitimer(ITIMER_REAL, &soon, NULL);
        }
        free(*block);
        *block = realloc(malloc(i % 500), i % 1700);
    }
    exit(9);
}

/* --- No randomness (tests/host/virtio.py) ---------------------------------------------------- */

static void no_randomness(void)
{
    char bytes[8];
    ssize_t result = getrandom(bytes, sizeof(bytes), 0);

    printf("getrandom: %s\n", result < 0 ? strerror(errno) : "has bytes");
    exit(result < 0 && errno == ENOSYS && open("/dev/urandom", O_RDONLY) >= 0 ? 38 : 0);
}

/* --- A guest that breaks its own interface -------------------------------------------------- */

static void no_trap_handlers(void)
{
    hypercall(__HYPERVISOR_set_trap_table, 0, 0, 0, 0, 0);
    asm volatile("ud2");
}

static void iret_to_user(void)
{
    extern const char hypercall_page[];
    const char *iret = hypercall_page + __HYPERVISOR_iret * 32;

    /* struct iret_context up to flags: ss, rsp, rflags, cs with RPL 3, rip, flags. */
    asm volatile("push $0x2b; push $0x1000; push $0x202; push $0x33; push $0x400000; push $0\n\t"
                 "jmp *%0" ::"r"(iret));
}

static void iret_to_nowhere(void)
{
    extern const char hypercall_page[];
    const char *iret = hypercall_page + __HYPERVISOR_iret * 32;

    asm volatile("mov %%rsp, %%rdx; push $0x2b; push %%rdx; push $0x202; push $0x30\n\t"
                 "mov $0x800000000000, %%rdx; push %%rdx; push $0\n\tjmp *%0" ::"r"(iret)
                 : "rdx");
}

static void event_callback_lost(void)
{
    hypercall(__HYPERVISOR_set_callbacks, 0x1000, 0x1000, 0, 0, 0);
    sleep_ms(500); /* long enough to be asleep when the event comes, on any host */
}

#define END(function)                                                                              \
    {                                                                                              \
#function, function                                                                        \
    }

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    END(return_0),
    END(return_7),
    END(return_255),
    END(return_134),
    END(exit_handlers),
    END(exit_at_once),
    END(output_then_exit),
    END(output_then_panic),
    END(output_then_killed),
    END(sum_of_input),
    END(memory_sizes),
    END(exit_from_thread),
    END(exit_among_spinners),
    END(main_thread_ends),
    END(hang),
    END(alarm_by_default),
    END(fault_in_handler),
    END(last_thread_ends),
    END(null_read),
    END(null_write),
    END(null_call),
    END(wild_write),
    END(text_write),
    END(rodata_write),
    END(data_call),
    END(stack_call),
    END(divide_by_zero),
    END(undefined_instruction),
    END(non_canonical),
    END(hypervisor_memory),
    END(privileged_hlt),
    END(privileged_cr3),
    END(main_overflow),
    END(thread_overflow),
    END(guard_overstepped),
    END(stack_pointer_lost),
    END(stack_pointer_into_hypervisor),
    END(failed_assertion),
    END(call_abort),
    END(stack_overrun),
    END(stack_overrun_in_thread),
    END(double_free),
    END(heap_overrun),
    END(heap_overrun_by_one),
    END(heap_overrun_into_last),
    END(heap_free_list),
    END(realloc_of_freed),
    END(free_of_stack),
    END(printf_count),
    END(snprintf_count),
    END(wprintf_count),
    END(fortified_memcpy),
    END(fortified_sprintf),
    END(panic_directly),
    END(panic_in_event),
    END(fault_in_event),
    END(fault_in_thread),
    END(heap_exhausted),
    END(handler_allocates),
    END(no_randomness),
    END(no_trap_handlers),
    END(iret_to_user),
    END(iret_to_nowhere),
    END(event_callback_lost),
};

int crash_run(const char *name)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(name, ends[i].name) == 0) {
            ends[i].run();
            printf("%s did not end the guest\n", name);
            return SURVIVED;
        }
    }
    printf("--crash %s: there is no such end\n", name);
    return SURVIVED;
}
