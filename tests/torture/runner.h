/* gcc's torture tests in one program (runner.c); the table is made by tests/torture/build. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct torture {
    const char *name;
    int (*main)(int argc, char **argv, char **envp);
};

extern const struct torture torture_tests[]; /* ends with a NULL name */

/* What tests call as exit, abort and fclose. */
_Noreturn void torture_exit(int status);
_Noreturn void torture_abort(void);
int torture_fclose(FILE *file);
