/*
 * See ends.h.
 */
#include "tests/security/ends.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

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

static void tell(const char *source, const uint64_t numbers[2])
{
    printf("%s %016lx%016lx\n", source, numbers[0], numbers[1]);
}

/* Random numbers, once a line has come: for somebody who makes two systems of this one before. */
static void random_numbers(void)
{
    int device = open("/dev/urandom", O_RDONLY);
    uint64_t numbers[2] = {0};

    CHECK_EQ(getrandom(numbers, sizeof(numbers), 0), (ssize_t)sizeof(numbers));
    arc4random_buf(numbers, sizeof(numbers));
    puts("waiting");
    getchar();
    if (getrandom(numbers, sizeof(numbers), 0) == sizeof(numbers))
        tell("getrandom", numbers);
    if (getentropy(numbers, sizeof(numbers)) == 0)
        tell("getentropy", numbers);
    if (read(device, numbers, sizeof(numbers)) == sizeof(numbers))
        tell("urandom", numbers);
    arc4random_buf(numbers, sizeof(numbers));
    tell("arc4random", numbers);
    exit(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    {"wait", wait_for_ever},
    {"addresses", addresses},
    {"random", random_numbers},
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
