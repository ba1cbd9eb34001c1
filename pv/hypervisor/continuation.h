/*
 * A hypercall that has used up its slice (work.h) goes on later, as in Xen: what is left to do
 * becomes the arguments of a new call, which the guest makes by executing the same instruction
 * again. Between the two, ring 3 takes interrupts and events. Nothing else is remembered: the new
 * call is checked like any other one, whatever the guest did to it in the meantime.
 *
 * Xen: common/multicall.c, arch/x86/pv/hypercall.c, hypercall_create_continuation(). Ring 0.
 */
#ifndef HYPERVISOR_CONTINUATION_H
#define HYPERVISOR_CONTINUATION_H

#include <stdint.h>

#define CONTINUATION_ARGS 4

/* The call of a multicall that is to be continued; the multicall takes it from there. */
extern struct continuation {
    int is_pending;
    unsigned int nr_args;
    uint64_t args[CONTINUATION_ARGS];
} continuation;

/*
 * Make the guest call `number` with these arguments, the first ones of its registers, once more.
 * The handler returns what this returns.
 */
int64_t continuation_make(uint64_t number, const uint64_t *args, unsigned int nr_args);

#endif
