/* See pirq.h. */
#include "pv/hypervisor/pirq.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/ioapic.h"
#include "pv/hypervisor/msi.h"
#include "pv/hypervisor/offsets.h"
#include "pv/hypervisor/print.h"
#include "boot/layout.h"

#define NR_PIRQ_VECTORS (NR_VECTORS - VECTOR_PIRQ)
#define NR_ISA_IRQS 16
/* No device has so much to say before the guest has looked once. */
#define STORM_INTERRUPTS 10000

struct pirq {
    enum { PIRQ_NONE, PIRQ_EDGE, PIRQ_LEVEL, PIRQ_MESSAGE } kind;
    uint8_t vector;
    uint8_t is_set_up;     /* setup_gsi gave `entry` its trigger */
    uint8_t waits_for_eoi; /* level: masked since its last interrupt */
    uint16_t port;         /* 0: not bound */
    uint32_t unseen;       /* interrupts since the guest last took the event */
    uint32_t entry;        /* of the I/O APIC: vector, trigger, polarity */
    struct msi_source message;
};

static struct pirq pirqs[NR_PIRQS];
/* By vector, from VECTOR_PIRQ on; NULL: free. */
static struct pirq *vectors[NR_PIRQ_VECTORS];
static uint64_t *eoi_map; /* in the guest's memory: only written */

static unsigned int number_of(const struct pirq *p)
{
    return (unsigned int)(p - pirqs);
}

static struct pirq *mapped(uint32_t pirq)
{
    return pirq < NR_PIRQS && pirqs[pirq].kind != PIRQ_NONE ? &pirqs[pirq] : NULL;
}

static int is_gsi(int gsi)
{
    return gsi >= 0 && gsi < NR_PIRQS && (unsigned int)gsi < ioapic_nr_gsis();
}

/* --- Sources -------------------------------------------------------------------------------- */

static void mask(struct pirq *p)
{
    if (p->kind == PIRQ_MESSAGE)
        msi_mask(&p->message, 1);
    else
        ioapic_set(number_of(p), p->entry | IOAPIC_MASKED);
}

static void unmask(struct pirq *p)
{
    if (p->kind == PIRQ_MESSAGE)
        msi_mask(&p->message, 0);
    else
        ioapic_set(number_of(p), p->entry);
}

static void note_eoi_need(const struct pirq *p)
{
    unsigned int number = number_of(p);
    uint64_t bit = 1ul << number % 64;

    if (!eoi_map)
        return;
    if (p->kind == PIRQ_LEVEL)
        __atomic_fetch_or(&eoi_map[number / 64], bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&eoi_map[number / 64], ~bit, __ATOMIC_RELAXED);
}

static int allocate_vector(struct pirq *p)
{
    for (unsigned int i = 0; i < NR_PIRQ_VECTORS; i++) {
        if (!vectors[i]) {
            vectors[i] = p;
            p->vector = (uint8_t)(VECTOR_PIRQ + i);
            return 0;
        }
    }
    return -ENOSPC;
}

static void free_vector(struct pirq *p)
{
    vectors[p->vector - VECTOR_PIRQ] = NULL;
}

/* --- Mapping -------------------------------------------------------------------------------- */

/* Trigger and polarity that a line has as long as nobody says otherwise. */
static uint32_t default_flags(unsigned int gsi)
{
    for (unsigned int irq = 0; irq < NR_ISA_IRQS; irq++) {
        uint32_t flags;

        if (ioapic_isa_gsi(irq, &flags) == gsi)
            return flags;
    }
    return IOAPIC_LEVEL | IOAPIC_ACTIVE_LOW; /* PCI */
}

int pirq_setup_gsi(int gsi, int is_level, int is_active_low)
{
    if (!is_gsi(gsi))
        return -EINVAL;

    struct pirq *p = &pirqs[gsi];
    uint32_t polarity = is_active_low ? IOAPIC_ACTIVE_LOW : 0;

    if (p->kind != PIRQ_NONE)
        return -EEXIST;
    ioapic_polarity((unsigned int)gsi, &polarity);
    p->entry = (is_level ? IOAPIC_LEVEL : 0) | polarity;
    p->is_set_up = 1;
    return 0;
}

int pirq_map_gsi(int gsi)
{
    uint32_t flags;

    if (!is_gsi(gsi))
        return -EINVAL;
    if ((unsigned int)gsi == ioapic_isa_gsi(SERIAL_IRQ, &flags))
        return -EPERM;

    struct pirq *p = &pirqs[gsi];

    if (p->kind != PIRQ_NONE)
        return p->kind == PIRQ_MESSAGE ? -EEXIST : 0;

    int error = allocate_vector(p);

    if (error)
        return error;
    if (!p->is_set_up)
        p->entry = default_flags((unsigned int)gsi);
    p->entry = (p->entry & ~0xffu) | p->vector;
    error = ioapic_route((unsigned int)gsi, p->entry | IOAPIC_MASKED);
    if (error) { /* a hole between two I/O APICs */
        free_vector(p);
        return -EINVAL;
    }
    p->kind = p->entry & IOAPIC_LEVEL ? PIRQ_LEVEL : PIRQ_EDGE;
    p->waits_for_eoi = 0;
    note_eoi_need(p);
    return 0;
}

static struct pirq *find_message(const struct msi_source *source)
{
    for (unsigned int i = 0; i < NR_PIRQS; i++)
        if (pirqs[i].kind == PIRQ_MESSAGE && msi_is_same(&pirqs[i].message, source))
            return &pirqs[i];
    return NULL;
}

static int choose_pirq(int wanted)
{
    int first = (int)ioapic_nr_gsis();

    if (wanted >= 0) {
        if (wanted >= NR_PIRQS || wanted < first)
            return -EINVAL;
        return pirqs[wanted].kind == PIRQ_NONE ? wanted : -EEXIST;
    }
    for (int pirq = NR_PIRQS - 1; pirq >= first; pirq--)
        if (pirqs[pirq].kind == PIRQ_NONE)
            return pirq;
    return -ENOSPC;
}

int pirq_map_msi(pci_id_t function, int entry, uint64_t table, int wanted)
{
    struct msi_source source;
    int error =
        table ? msi_find_entry(function, entry, table, &source) : msi_find(function, &source);

    if (error)
        return error;
    if (find_message(&source))
        return -EBUSY;

    int pirq = choose_pirq(wanted);

    if (pirq < 0)
        return pirq;

    struct pirq *p = &pirqs[pirq];

    error = allocate_vector(p);
    if (error)
        return error;
    p->kind = PIRQ_MESSAGE;
    p->message = source;
    msi_write(&p->message, p->vector); /* masked */
    note_eoi_need(p);
    return pirq;
}

int pirq_unmap(int pirq)
{
    struct pirq *p = mapped((uint32_t)pirq);

    if (!p)
        return -EINVAL;
    mask(p);
    free_vector(p);
    p->kind = PIRQ_NONE;
    p->is_set_up = 0;
    p->port = 0;
    note_eoi_need(p);
    return 0;
}

/* --- Events --------------------------------------------------------------------------------- */

int pirq_bind(uint32_t pirq, unsigned int port)
{
    struct pirq *p = mapped(pirq);

    if (!p)
        return -EINVAL;
    if (p->port)
        return -EEXIST;
    p->port = (uint16_t)port;
    p->waits_for_eoi = 0;
    p->unseen = 0;
    unmask(p);
    return 0;
}

void pirq_unbind(uint32_t pirq)
{
    struct pirq *p = mapped(pirq);

    if (p && p->port) {
        mask(p);
        p->port = 0;
    }
}

int pirq_eoi(uint32_t pirq)
{
    struct pirq *p = mapped(pirq);

    if (!p)
        return -EINVAL;
    if (p->waits_for_eoi && p->port) {
        p->waits_for_eoi = 0;
        unmask(p);
    }
    return 0;
}

int pirq_needs_eoi(uint32_t pirq)
{
    const struct pirq *p = mapped(pirq);

    return p && p->kind == PIRQ_LEVEL;
}

int pirq_set_eoi_map(mfn_t frame)
{
    if (eoi_map)
        return -EBUSY;
    /* The reference is kept for good: the frame never becomes a page table or code. */
    if (frame.n >= frame_limit || frame_get(frame, FRAME_WRITABLE))
        return -EINVAL;
    eoi_map = frame_to_virtual(frame);
    for (unsigned int i = 0; i < NR_PIRQS; i++)
        note_eoi_need(&pirqs[i]);
    return 0;
}

/*
 * Edges and messages are not masked while the guest serves them, so a device that never stops could
 * keep it from running at all.
 */
static void stop_storm(struct pirq *p)
{
    p->unseen = event_is_pending(p->port) ? p->unseen + 1 : 0;
    if (p->unseen != STORM_INTERRUPTS)
        return;
    mask(p);
    print(
        "parvus: interrupt %u came %u times while the guest had no time for it: masked until it is "
        "bound again\n",
        number_of(p), STORM_INTERRUPTS);
}

/*
 * An interrupt without a pirq is one that came before its source was masked; without a port it
 * would be level-triggered, and stays masked.
 */
void pirq_interrupt(unsigned int vector)
{
    struct pirq *p = vectors[vector - VECTOR_PIRQ];

    if (p && p->kind == PIRQ_LEVEL) {
        mask(p); /* before its end, or it comes again at once */
        p->waits_for_eoi = 1;
    }
    apic_eoi();
    if (p && p->port) {
        if (p->kind != PIRQ_LEVEL)
            stop_storm(p);
        event_send_port(p->port);
    }
}
