/*
 * The stack protector (gcc, -fstack-protector-strong -mstack-protector-guard=global): one canary
 * for all stacks, so that code runs protected before there are threads, and in event handlers.
 *
 * Called by compiled code anywhere, and by pv/start.c. Ring 3. Locks: none, the canary is set once.
 */
#include <stdint.h>

#include "kernel/entropy.h"
#include "kernel/panic.h"
#include "pv/pv.h"

/* gcc's names. */
extern uintptr_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

uintptr_t __stack_chk_guard;

__attribute__((optimize("no-stack-protector"))) void kernel_protect_stacks(void)
{
    __stack_chk_guard = entropy_early();
}

/* The caller's frame pointer is whole still: the backtrace begins with the function at fault. */
void __stack_chk_fail(void)
{
    panic("stack overrun: a function wrote beyond its local variables");
}
