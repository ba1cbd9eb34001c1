/*
 * The first program: greets, and shows what it was given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

extern char **environ;

int main(int argc, char **argv)
{
    struct timespec up;

    clock_gettime(CLOCK_MONOTONIC, &up);
    printf("Hello from Parvus, %ld.%06ld s after power-on.\n", (long)up.tv_sec, up.tv_nsec / 1000);
    for (int i = 1; i < argc; i++)
        printf("argv[%d] = %s\n", i, argv[i]);
    for (char **variable = environ; *variable != NULL; variable++)
        printf("environment: %s\n", *variable);
    return EXIT_SUCCESS;
}
