/*
 * Physical interrupts (pirqs) of the domain: lines of the I/O APICs, by GSI, and message-signalled
 * interrupts of PCI functions, each with a vector of its own. xen/physdev.h, xen/event_channel.h
 * (bind_pirq); Xen: arch/x86/irq.c, physdev.c, msi.c.
 *
 * A mapped pirq is masked at its source until it is bound to an event port. Edge-triggered lines
 * and messages are sent on as they come. A level-triggered line is masked at each interrupt, until
 * the guest ends it (PHYSDEVOP_eoi): so one that nobody serves interrupts once. An edge or a
 * message that comes thousands of times before the guest has taken its event is masked until it is
 * bound again. Ring 0.
 */
#ifndef HYPERVISOR_PIRQ_H
#define HYPERVISOR_PIRQ_H

#include <stdint.h>
#include "pv/hypervisor/memory.h"
#include "pv/hypervisor/pci.h"

/* The pirqs of GSIs have their numbers; messages come from the top down. */
#define NR_PIRQS 256

/*
 * How a GSI is triggered; before it is mapped. -EEXIST: it is mapped; -EINVAL: there is no such
 * GSI. What the firmware's tables say of a line's polarity stands.
 */
int pirq_setup_gsi(int gsi, int is_level, int is_active_low);

/* 0, also when it was mapped; -EINVAL: no such GSI; -EPERM: the hypervisor's; -ENOSPC: no vector.
 */
int pirq_map_gsi(int gsi);

/*
 * Map an MSI-X entry (table: what the guest takes for the address of the BAR that holds the table)
 * or, with table 0, the MSI of a function, as pirq `wanted`, or any where that is negative. The
 * pirq, or -ENODEV (no such function, or it has no such capability), -ENXIO (its BAR is not
 * assigned or not decoded), -EINVAL (no such entry; the table is not where the guest says or not in
 * device memory; not a pirq for messages), -EEXIST (the pirq is in use), -EBUSY (the entry is),
 * -ENOSPC.
 */
int pirq_map_msi(pci_id_t function, int entry, uint64_t table, int wanted);

/* -EINVAL: not mapped. A port that is bound to it stays, without interrupts. */
int pirq_unmap(int pirq);

/* For event.c. -EINVAL: not mapped; -EEXIST: bound already. */
int pirq_bind(uint32_t pirq, unsigned int port);
void pirq_unbind(uint32_t pirq);

/* The guest has served it. -EINVAL: not mapped. */
int pirq_eoi(uint32_t pirq);
/* Whether pirq_eoi has an effect. */
int pirq_needs_eoi(uint32_t pirq);

/*
 * A frame of the guest's where a bit for each pirq says whether it needs an end of interrupt.
 * -EBUSY: there is one already; -EINVAL: not a frame that the guest could write.
 */
int pirq_set_eoi_map(mfn_t frame);

/* Out of a vector from VECTOR_PIRQ on. */
void pirq_interrupt(unsigned int vector);

#endif
