/*
 * The ways in which a guest may end that no test survives: tests/host/crashes.py runs each one and
 * looks at the console and the exit status.
 */
#ifndef TESTS_GUEST_CRASH_H
#define TESTS_GUEST_CRASH_H

/* Ends the guest as `name` says. Returns (an exit status, with a message) if that did not work. */
int crash_run(const char *name);

#endif
