/* See rtc.h. MC146818A data sheet: registers 0-9 time and date, A, B (format). */
#include "pv/hypervisor/rtc.h"
#include "pv/hypervisor/cpu.h"

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_A_UPDATE_IN_PROGRESS 0x80
#define RTC_B_BINARY 0x04
#define RTC_B_24_HOURS 0x02
#define RTC_HOUR_PM 0x80
/* An update takes 2 ms; a port access at least 0.1 us. */
#define UPDATE_TRIES 100000

static uint8_t read_register(uint8_t index)
{
    cpu_outb(RTC_INDEX, index);
    return cpu_inb(RTC_DATA);
}

/* Days from 1970-01-01 to the first day of a month of the Gregorian calendar. */
static uint64_t days_before(unsigned int year, unsigned int month)
{
    static const unsigned short days[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t y = year - 1;
    int is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return y * 365 + y / 4 - y / 100 + y / 400 - 719162 + days[month - 1] + (is_leap && month > 2);
}

uint64_t rtc_read_s(void)
{
    static const uint8_t registers[6] = {0, 2, 4, 7, 8, 9}; /* s, min, h, day, month, year */
    unsigned int value[6];
    unsigned int tries = 0;

    if (read_register(0xb) == 0xff)
        return 0; /* nobody drives the bus */
    while (read_register(0xa) & RTC_A_UPDATE_IN_PROGRESS)
        if (++tries == UPDATE_TRIES)
            return 0;

    uint8_t format = read_register(0xb);

    for (unsigned int i = 0; i < 6; i++)
        value[i] = read_register(registers[i]);

    int is_pm = !(format & RTC_B_24_HOURS) && (value[2] & RTC_HOUR_PM);

    if (!(format & RTC_B_24_HOURS))
        value[2] &= ~RTC_HOUR_PM;
    if (!(format & RTC_B_BINARY))
        for (unsigned int i = 0; i < 6; i++)
            value[i] = (value[i] >> 4) * 10 + (value[i] & 15);
    if (!(format & RTC_B_24_HOURS))
        value[2] = value[2] % 12 + (is_pm ? 12 : 0);
    if (value[4] < 1 || value[4] > 12)
        return 0;
    return (days_before(2000 + value[5], value[4]) + value[3] - 1) * 86400 + value[2] * 3600 +
           value[1] * 60 + value[0];
}
