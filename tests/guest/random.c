/*
 * When the generator of libc-glue/random.c takes a new seed.
 */
#include <stdint.h>
#include <stdlib.h>

#include <xen/xen.h>

#include "pv/pv.h"
#include "tests/guest/test.h"

/* libc-glue/random.c */
int __random_stale(void);

TEST(random_jump,
     "A jump of the wall clock, as a system sees it that slept, seeds the generator anew.")
{
    struct shared_info *shared = (struct shared_info *)pv_shared_page;

    arc4random();
    CHECK_EQ(__random_stale(), 0);
    shared->wc_sec += 10;
    CHECK_EQ(__random_stale(), 1);
    arc4random();
    CHECK_EQ(__random_stale(), 0);
    shared->wc_sec -= 10;
    CHECK_EQ(__random_stale(), 1);
    arc4random();
}
