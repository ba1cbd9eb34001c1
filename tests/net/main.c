/*
 * The image of the network's in-guest tests.
 *
 * usage: net [--list] [PREFIX...]        (all tests, or those whose id begins with a PREFIX)
 */
#include "tests/guest/test.h"

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
