/*
 * Registration of the exception, event and failsafe entries of pv/entry.S.
 *
 * Called at boot only, ring 3. Locks: none.
 */
#include "pv/shared.h"

extern const char pv_event_entry[], pv_failsafe_entry[];
extern const struct trap_entry {
    uint8_t vector, flags;
    int32_t distance; /* of its code from this member */
} pv_trap_entries[], pv_trap_entries_end[];

#define TRAPS_MOST 32

void pv_traps_init(void)
{
    struct trap_info table[TRAPS_MOST + 1]; /* the last one ends it: address 0 */
    struct trap_info *out = table;
    uint16_t cs;

    asm("mov %%cs, %0" : "=r"(cs)); /* selectors are the hypervisor's */
    for (const struct trap_entry *e = pv_trap_entries; e < pv_trap_entries_end; e++)
        *out++ = (struct trap_info){e->vector, e->flags, cs,
                                    (uintptr_t)&e->distance + (uintptr_t)(intptr_t)e->distance};
    *out = (struct trap_info){0};
    hypervisor_set_trap_table(table);
    hypervisor_set_callbacks(pv_event_entry, pv_failsafe_entry);
}

uintptr_t pv_fault_address(void)
{
    return pv_vcpu()->arch.cr2;
}

int pv_set_fault_stack(void *top)
{
    uint16_t ss;

    asm("mov %%ss, %0" : "=r"(ss));
    return pv_errno(hypervisor_stack_switch(ss, top));
}
