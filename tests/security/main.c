/*
 * The security tests: an image as any application's, whose tests reach for what it may not have.
 *
 * usage: security [--list] [PREFIX...]     (all tests, or those whose id begins with a PREFIX)
 *        security --end NAME               (ends.c: one of the ways in which it is stopped)
 */
#include <string.h>

#include "tests/guest/test.h"
#include "tests/security/ends.h"

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--end") == 0)
        return end_run(argv[2]);
    return test_main(argc, argv);
}
