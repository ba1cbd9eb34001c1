/*
 * From a request to its answer: which page, whether the client has it already, which part of it,
 * and the header.
 */
#include "respond.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "http_date.h"
#include "pages.h"

#define CONTENT_MAX (1u << 20) /* bytes of a request's content that we pass over */
#define ALLOWED "Allow: GET, HEAD, OPTIONS\r\n"

/* --- The header ------------------------------------------------------------------------------- */

/* The fields that change with the clock, made once a second. */
static struct text clock_fields(void)
{
    static char fields[96];
    static size_t bytes;
    static uint64_t made_ms;
    char date[HTTP_DATE_BYTES + 1];

    if (bytes == 0 || server_now_ms - made_ms >= 500) {
        http_date_format(time(NULL), date);
        bytes = (size_t)snprintf(fields, sizeof(fields), "Date: %s\r\nServer: Parvus\r\n", date);
        made_ms = server_now_ms;
    }
    return (struct text){fields, bytes};
}

static void add_status_line(int status)
{
    server_counts.answers[status / 100]++;
    if (status == 200)
        buffer_add_string(&server_output, "HTTP/1.1 200 OK\r\n");
    else
        buffer_printf(&server_output, "HTTP/1.1 %d %s\r\n", status, pages_reason(status));
    struct text fields = clock_fields();
    buffer_add(&server_output, fields.start, fields.bytes);
}

/* Says whether the connection goes on, and ends the header. `request` may be NULL. */
static void end_header(const struct connection *c, const struct request *request)
{
    if (c->is_last)
        buffer_add_string(&server_output, "Connection: close\r\n\r\n");
    else if (request->is_1_0)
        buffer_add_string(&server_output, "Connection: keep-alive\r\n\r\n");
    else
        buffer_add_string(&server_output, "\r\n");
}

/* A page that is made for this request. `fields`: more of the header. */
static void add_made_page(struct connection *c, const struct request *request, int status,
                          const char *type, const char *fields, const struct buffer *body)
{
    add_status_line(status);
    buffer_printf(&server_output,
                  "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%s", type,
                  body->used, fields);
    end_header(c, request);
    if (request == NULL || request->method != METHOD_HEAD)
        buffer_add(&server_output, body->data, body->used);
    server_output.failed |= body->failed;
}

static void add_error(struct connection *c, const struct request *request, int status,
                      const char *fields)
{
    struct buffer body = {0};

    pages_error(&body, status);
    add_made_page(c, request, status, "text/html; charset=utf-8", fields, &body);
    buffer_reset(&body, 0);
}

void respond_refuse(struct connection *c, int status)
{
    server_counts.requests++;
    c->is_last = c->is_abrupt = true;
    add_error(c, NULL, status, status == 405 ? ALLOWED : "");
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Whether the list of entity tags has this one (RFC 9110, 8.8.3.2; weak ones equal strong ones). */
static bool has_etag(struct text list, const char *etag)
{
    struct text element;

    while (text_next_element(&list, &element)) {
        if (text_is(element, "*"))
            return true;
        if (element.bytes > 2 && memcmp(element.start, "W/", 2) == 0)
            element.start += 2, element.bytes -= 2;
        if (text_is(element, etag))
            return true;
    }
    return false;
}

/* Whether the page has changed after a date; what is no date is as if absent. */
static bool is_newer(const struct file_page *page, struct text date, bool *is_date)
{
    int64_t seconds = 0;

    *is_date = text_is(date, page->modified) || http_date_parse(date, &seconds);
    return !text_is(date, page->modified) && page->mtime_s > seconds;
}

/* 200, 304 or 412, in the order of RFC 9110, 13.2.2. */
static int check_conditions(const struct request *request, const struct file_page *page)
{
    bool is_date;

    if (request->if_match.bytes > 0) {
        if (!has_etag(request->if_match, page->etag))
            return 412;
    } else if (request->if_unmodified_since.bytes > 0) {
        if (is_newer(page, request->if_unmodified_since, &is_date) && is_date)
            return 412;
    }
    if (request->if_none_match.bytes > 0)
        return has_etag(request->if_none_match, page->etag) ? 304 : 200;
    if (request->if_modified_since.bytes > 0 &&
        !is_newer(page, request->if_modified_since, &is_date) && is_date)
        return 304;
    return 200;
}

/* A range counts only of the page that the client has a part of (RFC 9110, 13.1.5). */
static bool may_have_range(const struct request *request, const struct file_page *page)
{
    return request->range.bytes > 0 &&
           (request->if_range.bytes == 0 || text_is(request->if_range, page->etag) ||
            text_is(request->if_range, page->modified));
}

static void add_file(struct connection *c, const struct request *request,
                     const struct file_page *page)
{
    uint64_t first = 0, last = page->bytes - 1;
    int status = check_conditions(request, page);
    int file = -1;
    char range[96] = "";

    if (status == 412) {
        add_error(c, request, status, "");
        return;
    }
    if (status == 200 && may_have_range(request, page))
        status = request_range(request, page->bytes, &first, &last);
    if (status == 416) {
        snprintf(range, sizeof(range), "Content-Range: bytes */%llu\r\n",
                 (unsigned long long)page->bytes);
        add_error(c, request, status, range);
        return;
    }
    bool has_body = request->method != METHOD_HEAD && status != 304 && page->bytes > 0;
    if (has_body && page->body == NULL) {
        file = files_open(page);
        if (file < 0) {
            bool is_busy = errno == EMFILE || errno == ENFILE || errno == ENOMEM;

            add_error(c, request, is_busy ? 503 : 404, is_busy ? "Retry-After: 1\r\n" : "");
            return;
        }
    }
    if (status != 206)
        first = 0; /* whatever was tried */
    uint64_t bytes = status == 206 ? last - first + 1 : page->bytes;
    add_status_line(status);
    if (status == 206) {
        buffer_add(&server_output, page->fields, page->common_bytes);
        buffer_printf(&server_output,
                      "Content-Range: bytes %llu-%llu/%llu\r\nContent-Length: %llu\r\n",
                      (unsigned long long)first, (unsigned long long)last,
                      (unsigned long long)page->bytes, (unsigned long long)bytes);
    } else {
        buffer_add(&server_output, page->fields,
                   status == 304 ? page->common_bytes : page->fields_bytes);
    }
    end_header(c, request);
    if (!has_body)
        return;
    if (file < 0) {
        buffer_add(&server_output, page->body + first, (size_t)bytes);
    } else {
        c->file = file;
        c->file_at = first;
        c->file_left = bytes;
    }
}

/* To the same path with a slash behind it, so that links in the page lead on from there. */
static void add_redirect(struct connection *c, const struct request *request)
{
    struct buffer field = {0};

    buffer_add_string(&field, "Location: ");
    buffer_add_url(&field, (struct text){request->path, request->path_bytes});
    buffer_add(&field, "/\r\n", sizeof("/\r\n"));
    if (field.failed)
        add_error(c, request, 503, "");
    else
        add_error(c, request, 301, field.data);
    buffer_reset(&field, 0);
}

/* --- Everything ------------------------------------------------------------------------------- */

/* Pages that are made anew for each request. False: the path is none of theirs. */
static bool add_dynamic(struct connection *c, const struct request *request)
{
    struct text path = {request->path, request->path_bytes};
    const char *type = "text/html; charset=utf-8";
    struct buffer body = {0};

    if (text_is(path, "/status")) {
        pages_status(&body);
    } else if (text_is(path, "/status.json")) {
        pages_status_json(&body);
        type = "application/json";
    } else {
        return false;
    }
    add_made_page(c, request, 200, type, "", &body);
    buffer_reset(&body, 0);
    return true;
}

static void add_list(struct connection *c, const struct request *request)
{
    struct buffer body = {0};
    int status = pages_list(&body, (struct text){request->path, request->path_bytes});

    if (status == 200)
        add_made_page(c, request, status, "text/html; charset=utf-8", "", &body);
    else
        add_error(c, request, status, "");
    buffer_reset(&body, 0);
}

static void add_get(struct connection *c, const struct request *request)
{
    struct file_page *page;

    /* Paths with a letter s behind the slash alone can be dynamic; most are files. */
    if (request->path[1] == 's' && add_dynamic(c, request))
        return;
    int status = files_find(request->path, request->path_bytes, server_now_ms, &page);
    if (status == 0 && page->is_folder)
        add_list(c, request);
    else if (status == 0)
        add_file(c, request, page);
    else if (status == 301)
        add_redirect(c, request);
    else
        add_error(c, request, status, status == 503 ? "Retry-After: 1\r\n" : "");
}

static void add_options(struct connection *c, const struct request *request)
{
    add_status_line(204);
    buffer_add_string(&server_output, ALLOWED);
    end_header(c, request);
}

void respond(struct connection *c, const struct request *request)
{
    server_counts.requests++;
    c->is_last = !request->keep_alive;
    /* Content that comes is passed over. What comes in chunks, what is much and what the client
     * only would send is not waited for: the connection ends. */
    if (request->has_coding || request->content_bytes > CONTENT_MAX || request->expects_100)
        c->is_last = c->is_abrupt = true;
    else
        c->skip = request->content_bytes;
    if (request->content_bytes > CONTENT_MAX)
        add_error(c, request, 413, "");
    else if (request->method == METHOD_REFUSED)
        add_error(c, request, 405, ALLOWED);
    else if (request->method == METHOD_OPTIONS)
        add_options(c, request);
    else
        add_get(c, request);
    if (c->is_last && c->skip > 0)
        c->is_abrupt = true;
}
