/*
 * Pages that are made, not read: status, lists of folders, errors. All need nothing but themselves.
 */
#ifndef HTTPD_PAGES_H
#define HTTPD_PAGES_H

#include "buffer.h"

/* The reason phrase of a status. */
const char *pages_reason(int status);

void pages_error(struct buffer *out, int status);
void pages_status(struct buffer *out);
void pages_status_json(struct buffer *out);

/* What a folder holds, whose path (decoded) ends with a slash; the root's is the welcome page.
 * Returns the HTTP status. */
int pages_list(struct buffer *out, struct text path);

#endif
