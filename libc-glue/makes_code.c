/*
 * What a program does not say about itself (parvus.h). A file of its own: where the compiler sees
 * this definition it takes its value for granted, weak or not.
 */
#include <parvus.h>

const bool __attribute__((weak)) parvus_makes_code = false;
