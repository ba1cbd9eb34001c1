/*
 * The memory target: what Xen's tool stack asks the domain to have, as a number of KiB in xenstore
 * (Xen, docs/misc/xenstore-paths.pandoc). A watch tells that it may have changed, and once right
 * after it was set; then the value is read. Messages are taken as they come: nothing waits here.
 *
 * Callers: the kernel's one thread that follows the target. Ring 3. Locks: none.
 */
#include "pv/store.h"

#include <errno.h>

#define KEY "memory/target" /* below the domain's own path */
#define TOKEN "parvus"

static bool is_stale; /* it may have changed since it was asked for */
static bool is_asked; /* the answer is on its way */

int pv_target_watch(event_handler_t *fn, void *arg)
{
    event_port_t port;

    if (!pv_store_present())
        return -ENODEV;
    int error = pv_event_bind_port(pv_store_port(), fn, arg, &port);
    return error ? error : pv_store_send(XS_WATCH, KEY, TOKEN, sizeof(TOKEN));
}

static int parse(const char *text, size_t bytes, uint64_t *pages)
{
    uint64_t kib = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || kib > UINT64_MAX / 100)
            return -EPROTO;
        kib = kib * 10 + (uint64_t)(text[i] - '0');
    }
    *pages = kib / (PAGE_SIZE / 1024);
    return bytes ? 0 : -EPROTO;
}

/* Takes one message; *is_news: it was the target. */
static int take(uint64_t *pages, bool *is_news)
{
    struct xsd_sockmsg header;
    char text[24];
    int error = pv_store_take(&header, text, sizeof(text));

    if (error)
        return error;
    if (header.type == XS_WATCH_EVENT) {
        is_stale = true;
        return 0;
    }
    if (header.type == XS_ERROR)
        return pv_store_error(&header, text);
    if (header.type != XS_READ)
        return 0; /* the watch is set */
    is_asked = false;
    *is_news = true;
    return header.len > sizeof(text) ? -EPROTO : parse(text, header.len, pages);
}

int pv_target_pages(uint64_t *pages)
{
    bool is_news = false;
    int error;

    do
        error = take(pages, &is_news);
    while (!error);
    if (error == -EAGAIN && is_stale && !is_asked) {
        error = pv_store_send(XS_READ, KEY, NULL, 0);
        is_asked = !error;
        is_stale = error != 0;
    }
    if (error && error != -EAGAIN)
        return error;
    return is_news ? 0 : -EAGAIN;
}
