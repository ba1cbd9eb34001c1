/*
 * What the pages that we make have in common: style, and how they begin and end.
 */
#ifndef HTTPD_FRAME_H
#define HTTPD_FRAME_H

#include "buffer.h"

void frame_begin(struct buffer *out, const char *title);
void frame_end(struct buffer *out);

#endif
