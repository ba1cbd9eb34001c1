/*
 * Frames that come and go: memory.h's reservation of the domain.
 *
 * Callers: pv/start.c at boot; the kernel's one thread that follows the target. Ring 3. Locks:
 * none.
 */
#include "pv/domu.h"

#include <xen/memory.h>

#define NO_FRAME UINT64_MAX
#define CLEARS 16
#define MAP_ENTRIES 8
#define E820_RAM 1

struct e820_entry { /* BIOS INT 15h, AX = E820h: packed */
    uint64_t start, bytes;
    uint32_t type;
} __attribute__((packed));

uint64_t pv_frames_most(uint64_t now)
{
    static struct e820_entry entries[MAP_ENTRIES];
    struct xen_memory_map map = {.nr_entries = MAP_ENTRIES};
    uint64_t most = now;

    set_xen_guest_handle(map.buffer, entries);
    if (hypervisor_memory_op(XENMEM_memory_map, &map))
        return now; /* no map: what we have is all */
    for (unsigned i = 0; i < map.nr_entries; i++) {
        uint64_t end = (entries[i].start + entries[i].bytes) >> PAGE_SHIFT;

        if (entries[i].type == E820_RAM && end > most)
            most = end;
    }
    return most;
}

void pv_frames_list_move(uint64_t *list)
{
    for (uint64_t pfn = 0; pfn < pv_boot.max_pages; pfn++)
        list[pfn] = pfn < pv_boot.nr_pages ? pv_frame_list[pfn] : NO_FRAME;
    pv_frame_list = list;
}

/* What the domain shares with others may not give away what was in the frames. */
static int clear(const pfn_t *frames, unsigned count)
{
    struct mmuext_op clears[CLEARS];
    long error = 0;

    for (unsigned done = 0; !error && done < count;) {
        unsigned n = 0;

        for (; n < CLEARS && done < count; n++, done++)
            clears[n] =
                (struct mmuext_op){.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = pv_mfn(frames[done]).n};
        error = hypervisor_mmuext_op(clears, n);
    }
    return (int)error;
}

/* Names and order of the extents: one page each. */
static long reserve(int op, uint64_t *extents, unsigned count)
{
    struct xen_memory_reservation reservation = {.nr_extents = count, .domid = DOMID_SELF};

    set_xen_guest_handle(reservation.extent_start, extents);
    return hypervisor_memory_op(op, &reservation);
}

unsigned pv_frames_give(const pfn_t *frames, unsigned count)
{
    uint64_t *list = (uint64_t *)pv_frame_list, extents[PV_FRAMES_BATCH];

    if (clear(frames, count))
        return 0;
    for (unsigned i = 0; i < count; i++)
        extents[i] = pv_mfn(frames[i]).n;
    long done = reserve(XENMEM_decrease_reservation, extents, count);
    for (long i = 0; i < done; i++)
        list[frames[i].n] = NO_FRAME;
    return done > 0 ? (unsigned)done : 0;
}

unsigned pv_frames_take(const pfn_t *frames, unsigned count)
{
    uint64_t *list = (uint64_t *)pv_frame_list, extents[PV_FRAMES_BATCH];

    for (unsigned i = 0; i < count; i++)
        extents[i] = frames[i].n;
    /* Xen writes the machine-to-physical table; the other direction is ours. */
    long done = reserve(XENMEM_populate_physmap, extents, count);
    for (long i = 0; i < done; i++)
        list[frames[i].n] = extents[i];
    return done > 0 ? (unsigned)done : 0;
}
