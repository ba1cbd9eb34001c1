/*
 * See ends.h.
 */
#include "tests/security/ends.h"

#include <stdio.h>
#include <string.h>

#include "tests/guest/test.h"
#include "tests/security/instructions.h"

#define SURVIVED 99 /* no crash: an exit status that nobody expects */

/* For somebody who looks at the processor from outside. */
static void wait_for_ever(void)
{
    puts("waiting");
    for (;;)
        sleep_ms(1000);
}

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    {"wait", wait_for_ever},
};

int end_run(const char *name)
{
    if (instruction_run(name))
        printf("%s was executed\n", name);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (strcmp(name, ends[i].name) == 0)
            ends[i].run();
    printf("%s did not end the guest\n", name);
    return SURVIVED;
}
