/* The battery-backed clock (Motorola MC146818A, as in every PC). Ring 0. */
#ifndef HYPERVISOR_RTC_H
#define HYPERVISOR_RTC_H

#include <stdint.h>

/* Seconds since 1970-01-01 00:00 UTC; 0 when there is no such clock. */
uint64_t rtc_read_s(void);

#endif
