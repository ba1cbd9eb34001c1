/*
 * The console of a domain that is not the initial one: two rings in a page shared with xenconsoled
 * (xen/io/console.h). Each side advances its own index after it is done with the bytes; indices run
 * freely and are masked. xenconsoled's are not trusted to make sense.
 *
 * Callers: pv/console.c, any context. Ring 3. Lock: masked events, as long as there is one vCPU.
 */
#include "pv/domu.h"

#include <xen/io/console.h>

#define DRAIN_NS 60000000000ull /* xenconsoled may share one slow processor with many domains */

static struct xencons_interface *ring;
static event_port_t port;

void pv_console_ring_init(const struct start_info *si)
{
    if (si->flags & SIF_INITDOMAIN)
        return;
    ring = pv_daemon_page(si->console.domU.mfn);
    port = si->console.domU.evtchn;
}

bool pv_console_ring_present(void)
{
    return ring != NULL;
}

event_port_t pv_console_ring_port(void)
{
    return port;
}

/* What fits; returns how much that was. */
static size_t put(const char *text, size_t bytes)
{
    bool unmask = pv_events_mask();
    XENCONS_RING_IDX prod = ring->out_prod;
    /* Acquire: the bytes that xenconsoled took are read before they are overwritten. */
    XENCONS_RING_IDX used = prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);
    size_t done = 0;

    for (; done < bytes && used < sizeof(ring->out); done++, used++)
        ring->out[MASK_XENCONS_IDX(prod++, ring->out)] = text[done];
    __atomic_store_n(&ring->out_prod, prod, __ATOMIC_RELEASE); /* pairs with xenconsoled's read */
    pv_events_restore(unmask);
    return done;
}

void pv_console_ring_write(const char *text, size_t bytes)
{
    while (bytes) {
        size_t done = put(text, bytes);

        text += done;
        bytes -= done;
        pv_daemon_notify(port);
        if (bytes)
            pv_daemon_wait(port);
    }
}

void pv_console_ring_drain(void)
{
    uint64_t deadline_ns = pv_clock_monotonic_ns() + DRAIN_NS;

    while (ring && __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE) != ring->out_prod &&
           pv_clock_monotonic_ns() < deadline_ns)
        pv_daemon_wait(port);
}

int pv_console_ring_read(char *buffer, size_t bytes)
{
    bool unmask = pv_events_mask();
    XENCONS_RING_IDX cons = ring->in_cons;
    XENCONS_RING_IDX there = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) - cons;
    int done = 0;

    if (there > sizeof(ring->in))
        there = 0;
    while ((size_t)done < bytes && there--)
        buffer[done++] = ring->in[MASK_XENCONS_IDX(cons++, ring->in)];
    __atomic_store_n(&ring->in_cons, cons, __ATOMIC_RELEASE);
    pv_events_restore(unmask);
    if (done)
        pv_daemon_notify(port);
    return done;
}
