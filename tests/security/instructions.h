/*
 * Privileged instructions in the guest's text.
 */
#ifndef TESTS_SECURITY_INSTRUCTIONS_H
#define TESTS_SECURITY_INSTRUCTIONS_H

#include <stdbool.h>

/* Executes the named one. True: nothing prevented it. False: there is none of that name. */
bool instruction_run(const char *name);

#endif
