/* See http_date.h. */
#include "http_date.h"

#include <stdio.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

#define DAY_SECONDS 86400
#define YEAR_9999_END 253402300799

/* Days from 1970-01-01 of a date in the Gregorian calendar: years begin in March, so that the leap
 * day is the last one. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t shifted = (month + 9) % 12;
    int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;

    return 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

void http_date_format(int64_t seconds, char out[HTTP_DATE_BYTES + 1])
{
    if (seconds < 0)
        seconds = 0;
    if (seconds > YEAR_9999_END)
        seconds = YEAR_9999_END;
    int64_t day = seconds / DAY_SECONDS;
    unsigned second = (unsigned)(seconds % DAY_SECONDS);
    int64_t year =
        1970 + day / 366; /* at most one too small for each 1,460 years, hence the loop */
    int month = 1;

    while (days_of(year + 1, 1, 1) <= day)
        year++;
    while (month < 12 && days_of(year, month + 1, 1) <= day)
        month++;
    unsigned day_of_month = (unsigned)(day - days_of(year, month, 1)) + 1;
    snprintf(out, HTTP_DATE_BYTES + 1, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[(day + 4) % 7],
             day_of_month % 100, months[month - 1], (unsigned)year % 10000, second / 3600,
             second / 60 % 60, second % 60);
}

static bool make(unsigned year, const char *month, unsigned day, unsigned hour, unsigned minute,
                 unsigned second, int64_t *out)
{
    for (int i = 0; i < 12; i++) {
        if (memcmp(month, months[i], 3) == 0) {
            *out =
                days_of(year, i + 1, (int)day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
            /* scanf's %u takes a sign: that makes a number too large. */
            return year >= 1970 && year <= 9999 && day >= 1 && day <= 31 && hour < 24 &&
                   minute < 60 && second <= 60;
        }
    }
    return false;
}

bool http_date_parse(struct text text, int64_t *seconds)
{
    char copy[40], month[4];
    unsigned year, day, hour, minute, second;
    int used = 0;

    if (text.bytes >= sizeof(copy))
        return false;
    memcpy(copy, text.start, text.bytes);
    copy[text.bytes] = 0;
    /* IMF-fixdate; RFC 850; asctime. */
    if (sscanf(copy, "%*3c, %2u %3c %4u %2u:%2u:%2u GMT%n", &day, month, &year, &hour, &minute,
               &second, &used) == 6 &&
        used == (int)text.bytes)
        return make(year, month, day, hour, minute, second, seconds);
    if (sscanf(copy, "%*[A-Za-z], %2u-%3c-%2u %2u:%2u:%2u GMT%n", &day, month, &year, &hour,
               &minute, &second, &used) == 6 &&
        used == (int)text.bytes)
        return make(year < 70 ? 2000 + year : 1900 + year, month, day, hour, minute, second,
                    seconds);
    if (sscanf(copy, "%*3c %3c %2u %2u:%2u:%2u %4u%n", month, &day, &hour, &minute, &second, &year,
               &used) == 6 &&
        used == (int)text.bytes)
        return make(year, month, day, hour, minute, second, seconds);
    return false;
}
