/* See buffer.h. */
#include "buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 4096

bool buffer_reserve(struct buffer *buffer, size_t bytes)
{
    size_t room = buffer->room > 0 ? buffer->room : FIRST_BYTES;

    if (buffer->room - buffer->used >= bytes)
        return true;
    while (room - buffer->used < bytes && room < SIZE_MAX / 4)
        room *= 2;
    char *data = realloc(buffer->data, room);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->room = room;
    return true;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !buffer_reserve(buffer, (size_t)length + 1))
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->used, (size_t)length + 1, format, args);
    va_end(args);
    buffer->used += (size_t)length;
}

void buffer_add_html(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        switch (text.start[i]) {
        case '<':
            buffer_add_string(buffer, "&lt;");
            break;
        case '>':
            buffer_add_string(buffer, "&gt;");
            break;
        case '&':
            buffer_add_string(buffer, "&amp;");
            break;
        case '"':
            buffer_add_string(buffer, "&quot;");
            break;
        case '\'':
            buffer_add_string(buffer, "&#39;");
            break;
        default:
            buffer_add(buffer, &text.start[i], 1);
        }
    }
}

static bool is_path_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("-._~/", c) != NULL);
}

void buffer_add_url(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (is_path_byte(text.start[i]))
            buffer_add(buffer, &text.start[i], 1);
        else
            buffer_printf(buffer, "%%%02X", (unsigned char)text.start[i]);
    }
}

void buffer_add_json(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.start[i];

        if (c == '"' || c == '\\')
            buffer_printf(buffer, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buffer_printf(buffer, "\\u%04x", c);
        else
            buffer_add(buffer, &text.start[i], 1);
    }
}

void buffer_reset(struct buffer *buffer, size_t keep)
{
    if (buffer->room > keep) {
        free(buffer->data);
        *buffer = (struct buffer){0};
    }
    buffer->used = 0;
    buffer->failed = false;
}
