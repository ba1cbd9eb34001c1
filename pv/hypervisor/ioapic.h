/*
 * The I/O APICs: they route device interrupts, numbered as global system interrupts (GSIs), to
 * vectors of this CPU. Intel 82093AA; ACPI 6.4, 5.2.12 (MADT). Ring 0.
 */
#ifndef HYPERVISOR_IOAPIC_H
#define HYPERVISOR_IOAPIC_H

#include <stdint.h>

/* Bits of a redirection entry beside the vector (82093AA, 3.2.4). */
#define IOAPIC_ACTIVE_LOW (1u << 13)
#define IOAPIC_LEVEL (1u << 15)
#define IOAPIC_MASKED (1u << 16)

/* Needs ACPI; without its tables the usual address is tried. */
void ioapic_init(void);

/* All GSIs are below it; 0: there is no I/O APIC. Not each below it need exist. */
unsigned int ioapic_nr_gsis(void);

/* Deliver a GSI to this CPU as `entry` says (vector and the bits above). -ENODEV: no such input. */
int ioapic_route(unsigned int gsi, uint32_t entry);
/* Change the entry of a routed GSI, which stays this CPU's. */
void ioapic_set(unsigned int gsi, uint32_t entry);

/* Where an ISA interrupt arrives, and the bits (trigger, polarity) of its entry. */
unsigned int ioapic_isa_gsi(unsigned int irq, uint32_t *flags);
/* Whether the firmware's tables state the polarity of a GSI: then *flags has it. */
int ioapic_polarity(unsigned int gsi, uint32_t *flags);

#endif
