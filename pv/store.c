/*
 * Xenstore's wire protocol (xen/io/xs_wire.h; Xen, docs/misc/xenstore.txt and xenstore-ring.txt)
 * over a page shared with xenstored: messages of a header and a payload, requests and answers in a
 * ring each. Answers of interest here fit into the ring whole, so each is taken once it is all
 * there.
 *
 * Callers: see pv/store.h. Ring 3. Locks: none, one caller at a time; messages are put and taken
 * with events masked, so that the end of the domain never finds half a one.
 */
#include "pv/store.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <xen/io/xs_wire.h>

#include "pv/domu.h"

#define ANSWER_NS 60000000000ull /* xenstored may share one slow processor with many domains */
#define TOKEN "parvus"

static struct xenstore_domain_interface *ring;
static event_port_t port;
static uint32_t last_request;
static bool changed;

void pv_store_init(const struct start_info *si)
{
    if (si->flags & SIF_INITDOMAIN)
        return;
    ring = pv_daemon_page(si->store_mfn);
    port = si->store_evtchn;
}

bool pv_store_present(void)
{
    return ring != NULL;
}

static XENSTORE_RING_IDX put_bytes(XENSTORE_RING_IDX at, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring->req[MASK_XENSTORE_IDX(at++)] = ((const char *)bytes)[i];
    return at;
}

static XENSTORE_RING_IDX get_bytes(XENSTORE_RING_IDX at, void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((char *)bytes)[i] = ring->rsp[MASK_XENSTORE_IDX(at++)];
    return at;
}

/* Puts a request whose payload is a path, its NUL and more. -EAGAIN: no room yet. */
static int put_request(const struct xsd_sockmsg *header, const char *path, const char *more)
{
    size_t path_bytes = strlen(path) + 1;
    bool unmask = pv_events_mask();
    XENSTORE_RING_IDX prod = ring->req_prod;
    XENSTORE_RING_IDX used = prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
    int error = -EAGAIN;

    if (used + sizeof(*header) + header->len <= XENSTORE_RING_SIZE) {
        prod = put_bytes(prod, header, sizeof(*header));
        prod = put_bytes(prod, path, path_bytes);
        prod = put_bytes(prod, more, header->len - path_bytes);
        __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE); /* pairs with xenstored's read */
        error = 0;
    }
    pv_events_restore(unmask);
    return error;
}

/* Takes the next answer, its payload cut to bytes. -EAGAIN: none complete; -EPROTO: never will be.
 */
static int take_answer(struct xsd_sockmsg *header, char *payload, size_t bytes)
{
    bool unmask = pv_events_mask();
    XENSTORE_RING_IDX cons = ring->rsp_cons;
    XENSTORE_RING_IDX there = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) - cons;
    int error = -EAGAIN;

    if (there > XENSTORE_RING_SIZE) {
        error = -EPROTO;
    } else if (there >= sizeof(*header)) {
        XENSTORE_RING_IDX at = get_bytes(cons, header, sizeof(*header));

        if (header->len > XENSTORE_RING_SIZE - sizeof(*header)) {
            error = -EPROTO;
        } else if (there >= sizeof(*header) + header->len) {
            get_bytes(at, payload, header->len < bytes ? header->len : bytes);
            __atomic_store_n(&ring->rsp_cons, at + header->len, __ATOMIC_RELEASE);
            error = 0;
        }
    }
    pv_events_restore(unmask);
    if (!error)
        pv_daemon_notify(port);
    return error;
}

/* xenstored names errors by their constants. */
static int error_number(const char *name)
{
    for (unsigned i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (!strcmp(xsd_errors[i].errstring, name))
            return -xsd_errors[i].errnum;
    }
    return -EPROTO;
}

/* Sends a request and waits for its answer, of which *bytes are there and used. */
static int request(uint32_t type, const char *path, const char *more, size_t more_bytes,
                   char *answer, size_t *bytes)
{
    struct xsd_sockmsg header = {
        .type = type,
        .req_id = ++last_request,
        .len = (uint32_t)(strlen(path) + 1 + more_bytes),
    };
    uint32_t id = header.req_id;
    uint64_t deadline_ns = pv_clock_monotonic_ns() + ANSWER_NS;
    int error;

    if (!ring)
        return -ENODEV;
    if (header.len > XENSTORE_RING_SIZE - sizeof(header))
        return -EINVAL;
    while ((error = put_request(&header, path, more)) == -EAGAIN) {
        if (pv_clock_monotonic_ns() > deadline_ns)
            return -ETIMEDOUT;
        pv_daemon_wait(port);
    }
    pv_daemon_notify(port);
    for (;;) {
        error = take_answer(&header, answer, *bytes);
        if (error == -EAGAIN) {
            if (pv_clock_monotonic_ns() > deadline_ns)
                return -ETIMEDOUT;
            pv_daemon_wait(port);
        } else if (error) {
            return error;
        } else if (header.type == XS_WATCH_EVENT) {
            changed = true;
        } else if (header.req_id == id) {
            break; /* another id: the answer to what the end of the domain interrupted */
        }
    }
    if (header.len > *bytes)
        return -ENOSPC;
    *bytes = header.len;
    if (header.type != XS_ERROR)
        return header.type == type ? 0 : -EPROTO;
    answer[header.len ? header.len - 1 : 0] = 0;
    return error_number(answer);
}

int pv_store_read(const char *path, char *value, size_t bytes)
{
    size_t length = bytes - 1;
    int error = request(XS_READ, path, NULL, 0, value, &length);

    if (!error)
        value[length] = 0;
    return error;
}

int pv_store_write(const char *path, const char *value)
{
    char answer[16];
    size_t bytes = sizeof(answer);

    return request(XS_WRITE, path, value, strlen(value), answer, &bytes);
}

int pv_store_watch(const char *path)
{
    char answer[16];
    size_t bytes = sizeof(answer);

    return request(XS_WATCH, path, TOKEN, sizeof(TOKEN), answer, &bytes);
}

bool pv_store_changed(void)
{
    struct xsd_sockmsg header;

    while (take_answer(&header, NULL, 0) == 0) {
        if (header.type == XS_WATCH_EVENT)
            changed = true;
    }
    bool was_changed = changed;
    changed = false;
    return was_changed;
}
