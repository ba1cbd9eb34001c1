/*
 * The local APIC: its one-shot timer and end of interrupt. Intel SDM vol. 3A, chapter 11.
 * x2APIC where the CPU has it (an MSR access is cheaper than MMIO, most of all under KVM).
 */
#ifndef HYPERVISOR_APIC_H
#define HYPERVISOR_APIC_H

#include <stdint.h>

void apic_init(void);
void apic_eoi(void);
/* Whether an interrupt of this vector waits for its end. */
int apic_is_in_service(unsigned int vector);
/* Of this CPU, as interrupts are addressed: 0..255. */
uint32_t apic_id(void);
/*
 * The timer's second mode, where the CPU has it: an interrupt when the TSC reaches a value, which
 * takes one MSR write and no conversion. Once in use it stays; apic_timer_start() is over then.
 */
int apic_has_deadline(void);
void apic_use_deadline(void);
void apic_deadline_set(uint64_t tsc);

/* Interrupt with VECTOR_TIMER when `ticks` of the timer's clock have passed; 0 stops it. */
void apic_timer_start(uint32_t ticks);
/* What is left of it. */
uint32_t apic_timer_left(void);
#endif
