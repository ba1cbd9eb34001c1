/*
 * The generator of random bytes behind getentropy, getrandom, /dev/random and /dev/urandom.
 */
#ifndef LIBC_GLUE_RANDOM_H
#define LIBC_GLUE_RANDOM_H

#include <stddef.h>

/* Bytes for keys, with what is fresh from the machine in them: a system that was restored from an
 * image gives others than the one that goes on. May sleep. -ENOSYS: the machine has no randomness;
 * -EIO: where it came from failed. */
int random_bytes(void *buffer, size_t bytes);

#endif
