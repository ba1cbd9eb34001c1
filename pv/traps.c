/*
 * Registration of the exception, event and failsafe entries of pv/entry.S.
 *
 * Called at boot only, ring 3. Locks: none.
 */
#include "pv/shared.h"

extern const char pv_event_entry[], pv_failsafe_entry[];
extern const char pv_trap_0[], pv_trap_1[], pv_trap_3[], pv_trap_4[], pv_trap_5[], pv_trap_6[],
    pv_trap_7[], pv_trap_8[], pv_trap_10[], pv_trap_11[], pv_trap_12[], pv_trap_13[], pv_trap_14[],
    pv_trap_16[], pv_trap_17[], pv_trap_19[];

/* Events stay masked while a trap is handled (xen.h, TI_GET_IF); software may raise 3 and 4. */
#define MASK_EVENTS 4
#define FROM_SOFTWARE 3

void pv_traps_init(void)
{
    static const struct {
        uint8_t vector, flags;
        const char *entry;
    } entries[] = {
        {0, MASK_EVENTS, pv_trap_0},
        {1, MASK_EVENTS, pv_trap_1},
        {3, MASK_EVENTS | FROM_SOFTWARE, pv_trap_3},
        {4, MASK_EVENTS | FROM_SOFTWARE, pv_trap_4},
        {5, MASK_EVENTS, pv_trap_5},
        {6, MASK_EVENTS, pv_trap_6},
        {7, MASK_EVENTS, pv_trap_7},
        {8, MASK_EVENTS, pv_trap_8},
        {10, MASK_EVENTS, pv_trap_10},
        {11, MASK_EVENTS, pv_trap_11},
        {12, MASK_EVENTS, pv_trap_12},
        {13, MASK_EVENTS, pv_trap_13},
        {14, MASK_EVENTS, pv_trap_14},
        {16, MASK_EVENTS, pv_trap_16},
        {17, MASK_EVENTS, pv_trap_17},
        {19, MASK_EVENTS, pv_trap_19},
    };
    enum { COUNT = sizeof(entries) / sizeof(entries[0]) };
    struct trap_info table[COUNT + 1]; /* the last one ends it: address 0 */
    uint16_t cs;

    asm("mov %%cs, %0" : "=r"(cs)); /* selectors are the hypervisor's */
    for (unsigned i = 0; i < COUNT; i++)
        table[i] = (struct trap_info){entries[i].vector, entries[i].flags, cs,
                                      (unsigned long)entries[i].entry};
    table[COUNT] = (struct trap_info){0};
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
