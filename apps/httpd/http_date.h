/*
 * Dates as HTTP writes them (RFC 9110, 5.6.7). Years 1970 to 9999.
 */
#ifndef HTTPD_HTTP_DATE_H
#define HTTPD_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define HTTP_DATE_BYTES 29

/* "Sun, 06 Nov 1994 08:49:37 GMT", with a NUL. */
void http_date_format(int64_t seconds, char out[HTTP_DATE_BYTES + 1]);

/* Each of the three forms. False: none of them. */
bool http_date_parse(struct text text, int64_t *seconds);

#endif
