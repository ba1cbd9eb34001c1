/*
 * What the fuzzers on the host share. A fuzzer is a file with one LLVMFuzzerTestOneInput, which
 * gives foreign bytes to one reader of such; build.mk lists the sources that it is linked with. An
 * input that is refused is as good as one that is not: what counts is that nothing is read or
 * written outside of what is there, that no arithmetic is undefined, and what each file claims
 * besides (FUZZ_CHECK).
 *
 * The reader gets its bytes in a block of their own size, so that a step too far is found. State
 * that would live on is reset for each input: the same input always does the same.
 */
#ifndef TESTS_FUZZ_HOST_FUZZ_H
#define TESTS_FUZZ_HOST_FUZZ_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What must hold whatever the input is. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input, taken from the front. What is not there any more reads as zero. */
struct fuzz_input {
    const uint8_t *at, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *in)
{
    return (size_t)(in->end - in->at);
}

static inline void fuzz_take(struct fuzz_input *in, void *out, size_t bytes)
{
    size_t have = fuzz_left(in) < bytes ? fuzz_left(in) : bytes;

    memset(out, 0, bytes);
    memcpy(out, in->at, have);
    in->at += have;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
    uint8_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint16_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint32_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

/* A copy of the bytes with a NUL behind, in a block of just that size; the caller frees it. */
static inline char *fuzz_text(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);

    memcpy(text, data, bytes);
    text[bytes] = 0;
    return text;
}

/* --- For the readers of the hypervisor and of boot/ (boot_support.c) ------------------------- */

/*
 * Machine memory: the input, from BOOT_MEMORY_START on; `fill` elsewhere below 4 GiB. boot_map()
 * gives a copy of just the bytes that were asked for. boot_fail() ends the reading, in the manner
 * of longjmp: boot_try() is 0 then.
 */
#define BOOT_MEMORY_START 0x10000u
void boot_memory(const uint8_t *data, size_t bytes, uint8_t fill);
void boot_memory_free(void); /* all copies */
extern jmp_buf boot_refused;
#define boot_try() (setjmp(boot_refused) == 0)

#endif
