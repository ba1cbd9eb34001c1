/* The few things that are asked of ACPI tables: ACPI 6.4, 5.2. Ring 0, boot. */
#ifndef HYPERVISOR_ACPI_H
#define HYPERVISOR_ACPI_H

#include <stdint.h>
#include "boot/boot.h"

void acpi_init(const struct boot_info *info);

/* A table by its four-letter signature, in the hypervisor's map; NULL: none, or a bad checksum. */
const void *acpi_table(const char *signature);

/* The I/O port of the PM timer, or 0. */
uint16_t acpi_pm_timer_port(void);

#endif
