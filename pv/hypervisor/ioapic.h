/* The I/O APIC: routes device interrupts to vectors. Intel 82093AA; ACPI 6.4, 5.2.12 (MADT). */
#ifndef HYPERVISOR_IOAPIC_H
#define HYPERVISOR_IOAPIC_H

#include <stdint.h>

/* Needs ACPI; without its tables the usual address is tried. */
void ioapic_init(void);

/*
 * Deliver an ISA interrupt to this CPU as `vector`, edge-triggered (or as the firmware's tables
 * say). -ENODEV: there is no I/O APIC that has it.
 */
int ioapic_route_isa(unsigned int irq, uint8_t vector);

#endif
