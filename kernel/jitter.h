/*
 * Random numbers from the time that a little work takes: the last resort of kernel/entropy.c.
 */
#ifndef KERNEL_JITTER_H
#define KERNEL_JITTER_H

#include <stdint.h>

/* Some hundred thousand cycles. -EIO: the times are too regular (an emulator that counts
 * instructions, say); out is then hardly a secret. Never sleeps, works from the first instruction.
 */
int jitter_gather(uint64_t out[4]);

/* A tenth of the time, and of the randomness: for a generator that has a seed already. */
void jitter_stir(uint64_t out[4]);

#endif
