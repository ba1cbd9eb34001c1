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

#include <string.h>

#include "pv/domu.h"

#define ANSWER_NS 60000000000ull /* xenstored may share one slow processor with many domains */

static struct xenstore_domain_interface *ring;
static event_port_t port;

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

event_port_t pv_store_port(void)
{
    return port;
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

int pv_store_send(uint32_t type, const char *path, const char *more, size_t more_bytes)
{
    size_t path_bytes = strlen(path) + 1;
    struct xsd_sockmsg header = {
        .type = type, .req_id = type, .len = (uint32_t)(path_bytes + more_bytes)};

    if (!ring)
        return -ENODEV;
    if (header.len > XENSTORE_RING_SIZE - sizeof(header))
        return -EINVAL;
    bool unmask = pv_events_mask();
    XENSTORE_RING_IDX prod = ring->req_prod;
    XENSTORE_RING_IDX used = prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE);
    int error = -EAGAIN;

    if (used + sizeof(header) + header.len <= XENSTORE_RING_SIZE) {
        prod = put_bytes(prod, &header, sizeof(header));
        prod = put_bytes(prod, path, path_bytes);
        prod = put_bytes(prod, more, more_bytes);
        __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE); /* pairs with xenstored's read */
        error = 0;
    }
    pv_events_restore(unmask);
    if (!error)
        pv_daemon_notify(port);
    return error;
}

int pv_store_take(struct xsd_sockmsg *header, char *payload, size_t bytes)
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
            error = -EPROTO; /* it will never be there whole */
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

/* xenstored names errors by their constants, with a NUL behind. The list is that of xs_wire.h,
 * without pointers, which each boot would have to relocate. */
int pv_store_error(const struct xsd_sockmsg *header, const char *payload)
{
#define ERROR(number)                                                                              \
    {                                                                                              \
        number, #number                                                                            \
    }
    static const struct {
        int16_t number;
        char name[10];
    } errors[] = {
        ERROR(EINVAL),    ERROR(EACCES),  ERROR(EEXIST), ERROR(EISDIR),
        ERROR(ENOENT),    ERROR(ENOMEM),  ERROR(ENOSPC), ERROR(EIO),
        ERROR(ENOTEMPTY), ERROR(ENOSYS),  ERROR(EROFS),  ERROR(EBUSY),
        ERROR(EAGAIN),    ERROR(EISCONN), ERROR(E2BIG),  ERROR(EPERM),
    };
    _Static_assert(sizeof(errors) / sizeof(errors[0]) == sizeof(xsd_errors) / sizeof(xsd_errors[0]),
                   "these are all");

    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        size_t bytes = strlen(errors[i].name) + 1;

        if (header->len == bytes && !memcmp(errors[i].name, payload, bytes))
            return -errors[i].number;
    }
    return -EPROTO;
}

int pv_store_write(const char *path, const char *value)
{
    struct xsd_sockmsg header;
    char answer[16];
    uint64_t deadline_ns = pv_clock_monotonic_ns() + ANSWER_NS;
    bool is_sent = false;

    while (pv_clock_monotonic_ns() < deadline_ns) {
        int error = -EAGAIN;

        if (!is_sent)
            error = pv_store_send(XS_WRITE, path, value, strlen(value));
        is_sent |= !error;
        if (is_sent)
            error = pv_store_take(&header, answer, sizeof(answer));
        if (!error && header.req_id == XS_WRITE)
            return header.type == XS_ERROR ? pv_store_error(&header, answer) : 0;
        if (error && error != -EAGAIN)
            return error;
        if (error)
            pv_daemon_wait(port);
    }
    return -ETIMEDOUT;
}
