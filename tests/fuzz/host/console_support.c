/* What the guest's readers say goes nowhere, but is formatted. */
#include "pv/pv.h"

void pv_console_write(const char *text, size_t bytes)
{
    static volatile char last;

    for (size_t i = 0; i < bytes; i++)
        last = text[i];
    (void)last;
}
