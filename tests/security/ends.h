/*
 * The ways in which an attempt ends the guest: tests/host/security.py runs each one and looks at
 * the console and the exit status.
 */
#ifndef TESTS_SECURITY_ENDS_H
#define TESTS_SECURITY_ENDS_H

/* Ends the guest as `name` says. Returns (an exit status, with a message) if that did not work. */
int end_run(const char *name);

#endif
