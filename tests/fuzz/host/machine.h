/*
 * A machine for drivers on the host (machine_support.c): memory by vm_map, for which machine
 * addresses are pointers; a clock; events that never come by themselves.
 */
#ifndef TESTS_FUZZ_HOST_MACHINE_H
#define TESTS_FUZZ_HOST_MACHINE_H

/* Where the contents of devices' memory come from, or NULL. */
extern struct fuzz_input *machine_device_memory;

/* Frees whatever is still mapped. */
void machine_free(void);

#endif
