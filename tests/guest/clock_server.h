/*
 * The guest's clocks, told to the host: tests/host/clock.py asks and compares with its own.
 */
#ifndef TESTS_GUEST_CLOCK_SERVER_H
#define TESTS_GUEST_CLOCK_SERVER_H

/*
 * Prints "clock: ready"; then, for each byte of console input, reads both clocks, prints "." at
 * once and after it "MONOTONIC_NS WALL_NS BACKWARDS\n", all in decimal: BACKWARDS is how often the
 * monotonic clock was seen to step back since the start. Returns at end of input; 0.
 */
int clock_serve(void);

#endif
