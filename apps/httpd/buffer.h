/*
 * Text that grows. When memory runs out it stops growing and says so in `failed`: callers look
 * once, at the end.
 */
#ifndef HTTPD_BUFFER_H
#define HTTPD_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "text.h"

struct buffer {
    char *data;
    size_t used, room;
    bool failed;
};

/* Makes room for so many bytes more; false (and failed): there is no memory. */
bool buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For HTML: what has a meaning there is replaced. */
void buffer_add_html(struct buffer *buffer, struct text text);
/* For paths in links: what is no plain path byte becomes %XX. */
void buffer_add_url(struct buffer *buffer, struct text text);
/* For JSON strings. */
void buffer_add_json(struct buffer *buffer, struct text text);
/* Empties it; gives memory beyond `keep` bytes back. */
void buffer_reset(struct buffer *buffer, size_t keep);

static inline void buffer_add(struct buffer *buffer, const void *data, size_t bytes)
{
    if (buffer->room - buffer->used < bytes && !buffer_reserve(buffer, bytes))
        return;
    memcpy(buffer->data + buffer->used, data, bytes);
    buffer->used += bytes;
}

static inline void buffer_add_string(struct buffer *buffer, const char *string)
{
    buffer_add(buffer, string, strlen(string));
}

#endif
