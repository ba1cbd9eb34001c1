/*
 * A folder of its own for each test that changes files: in the one that WORK names, or /tmp.
 */
#ifndef TESTS_POSIX_WORK_H
#define TESTS_POSIX_WORK_H

#include <stdbool.h>
#include <stddef.h>

/* Makes an empty folder and makes it the working folder. */
bool work_begin(void);
/* Removes it and all that is in it, and goes back to "/". */
bool work_end(void);

/* The test's function returns if there is no folder. */
#define REQUIRE_WORK() RETURN_UNLESS(work_begin())

/* A file with these bytes; a descriptor to read and write, at position 0. */
int work_file(const char *name, const char *text);
/* Whether the file has these bytes, no more and no fewer. */
bool work_holds(const char *name, const char *text);

#endif
