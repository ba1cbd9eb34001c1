/* See continuation.h. */
#include "pv/hypervisor/continuation.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/entry.h"
#include "pv/hypervisor/work.h"

#define SYSCALL_BYTES 2
#define INT3_BYTES 1

struct continuation continuation;

/*
 * INT3 keeps its arguments in no frame, and returns none: so its handler returns elsewhere, where
 * all registers come from the frame. Where a handler returns to also tells which entry it was
 * called from: entries begin on an empty stack, so it is right below the frame.
 */
static void execute_again(struct frame *frame)
{
    uint64_t *return_address = (uint64_t *)frame - 1;

    if (*return_address == (uint64_t)entry_breakpoint_called) {
        *return_address = (uint64_t)entry_breakpoint_again;
        frame->rip -= INT3_BYTES;
    } else {
        frame->rip -= SYSCALL_BYTES;
    }
}

int64_t continuation_make(uint64_t number, const uint64_t *args, unsigned int nr_args)
{
    if (work.is_shared) {
        continuation.is_pending = 1;
        continuation.nr_args = nr_args;
        for (unsigned int i = 0; i < nr_args; i++)
            continuation.args[i] = args[i];
        work.left = -1;
        return 0;
    }

    struct frame *frame = guest_frame();
    uint64_t *const registers[CONTINUATION_ARGS] = {&frame->rdi, &frame->rsi, &frame->rdx,
                                                    &frame->r10};

    for (unsigned int i = 0; i < nr_args; i++)
        *registers[i] = args[i];
    execute_again(frame);
    return (int64_t)number; /* rax */
}
