/*
 * What newlib calls where a program is about to harm itself: each is the end, with a report.
 *
 * Called by newlib in any thread. Locks: none.
 */
#include <stddef.h>

#include "kernel/panic.h"
#include "kernel/vm.h"

_Noreturn void __chk_fail(void);
void __printf_count(const void *format);

/* By the functions of <ssp/...> that know the size of what they write to (_FORTIFY_SOURCE). */
void __chk_fail(void)
{
    panic("buffer overflow: a library function was told to write beyond the end of an object");
}

/* By printf and its kin for each %n (tools/deps/newlib.patch), which writes where an argument says:
 * a format that somebody could have written is not trusted with that. */
void __printf_count(const void *format)
{
    struct vm_info info;

    vm_query((uintptr_t)format, &info);
    if (info.name == NULL || (info.prot & VM_WRITE) != 0)
        panic("printf: %%n in a format that lies in writable memory (%p)", format);
}
