/*
 * A random workload for a disk that loses power (tests/host/power_cut.py knows the same
 * operations).
 */
#ifndef TESTS_BLKDEV_WORKLOAD_H
#define TESTS_BLKDEV_WORKLOAD_H

#include <stdint.h>

#include "kernel/blkdev.h"

/* Does not end but by an error, which it prints. `seed` below 2^24 decides what each thread does.
 */
int workload_run(struct blkdev *disk, uint32_t seed);

#endif
