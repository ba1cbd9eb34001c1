/*
 * The head of an HTTP/1 request: parsed where it stands, nothing is allocated.
 *
 * Sources: RFC 9112 (HTTP/1.1), RFC 9110 (semantics), RFC 3986 (paths).
 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdint.h>

#include "text.h"

#define REQUEST_HEAD_MAX 8192 /* bytes of request line and header fields */
#define REQUEST_FIELDS_MAX 100
#define REQUEST_TARGET_MAX 4096 /* bytes of the request target */

enum method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_REFUSED };

struct request {
    enum method method;
    struct text target; /* as it was sent, path and query; of an error: empty */
    char
        path[REQUEST_TARGET_MAX]; /* decoded, without dot segments, NUL-terminated; begins with / */
    size_t path_bytes;
    bool is_for_server; /* OPTIONS * */
    bool is_1_0;        /* HTTP/1.0 */
    bool keep_alive;    /* the client expects more on this connection */
    bool expects_100;   /* it waits for 100 Continue before its content */
    bool has_coding;    /* the content comes in chunks */
    uint64_t content_bytes;
    struct text if_none_match, if_modified_since, if_match, if_unmodified_since, if_range, range;
};

/* Bytes of the head, including what precedes it; 0: it is not all there; a negative HTTP status: it
 * will never be a request to answer otherwise (the connection is to be closed behind the answer).
 */
int request_parse(const char *data, size_t bytes, struct request *out);

/* The range of bytes that a request asks for, of `size`. 206: *first and *last are set; 200: no
 * range to be honoured; 416: outside. */
int request_range(const struct request *request, uint64_t size, uint64_t *first, uint64_t *last);

#endif
