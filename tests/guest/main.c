/*
 * The image of the in-guest tests.
 *
 * usage: guest [--list] [PREFIX...]        (all tests, or those whose id begins with a PREFIX)
 *        guest --crash NAME                (crash.c: one of the ways in which a guest may end)
 *        guest --clock                     (clock_server.c: tells the time to whoever asks)
 */
#include <string.h>

#include "tests/guest/clock_server.h"
#include "tests/guest/crash.h"
#include "tests/guest/test.h"

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--crash") == 0)
        return crash_run(argv[2]);
    if (argc == 2 && strcmp(argv[1], "--clock") == 0)
        return clock_serve();
    return test_main(argc, argv);
}
