/*
 * See ends.h.
 */
#include "tests/security/ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm.h"
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

/* Where things are, and the canary, for somebody who compares boots. */
static void addresses(void)
{
    extern uintptr_t __stack_chk_guard;
    void *region = NULL;
    char local;

    if (vm_map(&region, PAGE_SIZE, VM_READ | VM_WRITE, "region") == 0)
        printf("image %lx heap %lx region %lx stack %lx canary %lx\n", (uintptr_t)addresses,
               (uintptr_t)malloc(1), (uintptr_t)region, (uintptr_t)&local, __stack_chk_guard);
    exit(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    {"wait", wait_for_ever},
    {"addresses", addresses},
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
