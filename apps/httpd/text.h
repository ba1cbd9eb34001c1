/*
 * A piece of text that somebody else owns; not NUL-terminated.
 */
#ifndef HTTPD_TEXT_H
#define HTTPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *start;
    size_t bytes;
};

static inline struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static inline bool text_is(struct text text, const char *string)
{
    return text.bytes == strlen(string) && memcmp(text.start, string, text.bytes) == 0;
}

static inline char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Letters of either case; `string` is lower case. */
static inline bool text_is_word(struct text text, const char *string)
{
    if (text.bytes != strlen(string))
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        if (lower(text.start[i]) != string[i])
            return false;
    }
    return true;
}

/* Without blanks and tabs around it. */
static inline struct text text_trimmed(struct text text)
{
    while (text.bytes > 0 && (*text.start == ' ' || *text.start == '\t'))
        text.start++, text.bytes--;
    while (text.bytes > 0 &&
           (text.start[text.bytes - 1] == ' ' || text.start[text.bytes - 1] == '\t'))
        text.bytes--;
    return text;
}

/* Takes the next element off a list with commas. False: there is none. Empty ones are passed over
 * (RFC 9110, 5.6.1). */
static inline bool text_next_element(struct text *list, struct text *out)
{
    while (list->bytes > 0) {
        const char *comma = memchr(list->start, ',', list->bytes);
        size_t bytes = comma != NULL ? (size_t)(comma - list->start) : list->bytes;

        *out = text_trimmed((struct text){list->start, bytes});
        bytes += comma != NULL;
        list->start += bytes;
        list->bytes -= bytes;
        if (out->bytes > 0)
            return true;
    }
    return false;
}

#endif
