/* See frame.h. */
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/errno.h"

void tlb_flush(void)
{
    cpu_write_cr3(cpu_read_cr3());
    tlb_is_stale = 0;
}

void frame_retype(mfn_t frame, enum frame_type type)
{
    if (tlb_is_stale)
        tlb_flush();
    frame_table[frame.n] = FRAME_OF_TYPE(type);
}

int frame_get_other(mfn_t frame, enum frame_type type)
{
    uint32_t word = frame_table[frame.n];

    if (word >= FRAME_OF_TYPE(FRAME_FIXED))
        return word == FIXED_HYPERVISOR ? -EPERM : -EINVAL;
    if (word >> FRAME_TYPE_SHIFT != type) {
        if (word & (FRAME_COUNT | FRAME_PINNED))
            return -EINVAL;
        frame_retype(frame, type);
    } else if ((word & FRAME_COUNT) == FRAME_COUNT) {
        return -EINVAL; /* one more would overflow the count */
    }
    frame_table[frame.n]++;
    return 0;
}
