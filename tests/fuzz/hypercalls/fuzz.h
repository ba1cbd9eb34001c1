/*
 * The hypercall fuzzer, a guest program: hypercalls with arguments that are right, nearly right or
 * random, one after another, then a look at whether the hypervisor still keeps its promises.
 *
 * All that the calls can change is the fuzzer's own (arena.c): pages for arguments and results, a
 * pool of frames, page tables of two slots of the root. What a call may not say is what would end
 * or lose the fuzzer itself: a shutdown, another stack or base, the kernel's mappings, a wait
 * without an end.
 *
 * The same seed makes the same calls on the same host: an epoch is EPOCH_CALLS calls of a random
 * generator of its own, after which everything is put back and looked at (audit.c). One vCPU:
 * nobody changes arguments while ring 0 reads them; but a batch changes what follows in it
 * (generate.c).
 */
#ifndef TESTS_FUZZ_HYPERCALLS_FUZZ_H
#define TESTS_FUZZ_HYPERCALLS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/errno.h>

#include "pv/pv.h"

#define EPOCH_CALLS 16384

struct call {
    uint64_t number; /* below 128 where it is made directly */
    uint64_t args[5];
};

extern bool on_parvus;

/* Prints what is wrong and how to make it happen again, and ends the program. */
_Noreturn void failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- Random numbers -------------------------------------------------------------------------- */

void random_seed(uint64_t seed);
uint64_t random_u64(void);
static inline uint64_t below(uint64_t limit)
{
    return (random_u64() >> 32) * limit >> 32;
}
static inline bool one_in(uint64_t n)
{
    return below(n) == 0;
}

/* --- Calls ------------------------------------------------------------------------------------ */

long hypercall(uint64_t number, const uint64_t args[5]);
#define CALL(number, ...) hypercall((number), (const uint64_t[5]){__VA_ARGS__})

static inline uint64_t address_of(const volatile void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* --- What the fuzzer may change (arena.c) ----------------------------------------------------- */

#define ARGUMENT_PAGES 2
#define RESULT_PAGES 2
#define NR_POOL 40
#define TABLE_SLOTS 16 /* of a table, used at random; the whole one is looked at */

extern struct arena {
    /* Each is followed by an unmapped page. */
    uint8_t *arguments; /* structs that calls read and write */
    uint8_t *results;   /* only written */
    uint8_t *list;      /* batches: at the end of this page */
    uint8_t *inner;     /* batches within a multicall */
    uint8_t *constant;  /* read-only: CONSTANT_BYTE */
    mfn_t list_frame, inner_frame, results_frame;
    mfn_t pool[NR_POOL]; /* mapped nowhere at first; of any type */
    mfn_t root;
    mfn_t l3, l2, l1[2]; /* pinned tables at PRIVATE_START; their entries are changed at random */
    uint8_t *is_ours;    /* a bit for each frame below 4 GiB */
    uint64_t frames;     /* of the machine's RAM */
    uint64_t address_limit;        /* the first frame that the processor cannot address */
    mfn_t shared;                  /* the page shared with the hypervisor */
    uint64_t text_start, text_end; /* what of the image is read-only */
} arena;
#define CONSTANT_BYTE 0xa5

/* Three slots of the root in a row: what is mapped there is the fuzzer's. The last one is the
 * window, whose tables are never changed at random. */
#define SLOT_BYTES (1ul << 39)
#define PRIVATE_SLOTS 2ul
extern unsigned first_slot;
#define PRIVATE_START (first_slot * SLOT_BYTES)
#define WINDOW_START (PRIVATE_START + PRIVATE_SLOTS * SLOT_BYTES)

#define FLAGS_DATA (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_NX)
#define FLAGS_CONSTANT (PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_NX)
#define FLAGS_TABLE (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED)

static inline uint64_t entry_of(mfn_t frame, uint64_t flags)
{
    return frame.n << PAGE_SHIFT | flags;
}

static inline bool frame_is_ours(uint64_t n)
{
    return n < arena.frames && n < 1ul << 20 && (arena.is_ours[n / 8] >> n % 8 & 1);
}

void arena_make(void);
/* Maps a frame in the window (page 0..511) with these flags; NULL: refused. */
void *window_map(unsigned page, mfn_t frame, uint64_t flags);
void window_unmap(unsigned page);
/* Everything as arena_make left it: all frames of the pool without use. Fails where one has one. */
void arena_reset(void);

/* --- The rest ----------------------------------------------------------------------------------
 */

/* One step: a call, or a few that belong together. */
void step(void);
/* Whether a step may change what an event would need: then events are masked. */
extern bool events_are_masked;
bool is_shown(void); /* whether a step is to print what it does */
void print_last(const char *what);
void long_begin(void); /* before ports_begin(): it takes a port */
/* The ports that are the kernel's; closes all others, and gives back all interrupts. */
void ports_begin(void);
void ports_reset(void);

/* The promises: W^X, no writable page table, nothing of the hypervisor mapped, no byte of ours
 * changed. */
void audit(void);
void audit_begin(void);

#endif
