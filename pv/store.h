/*
 * Xenstore (private to pv/): named strings that a domain shares with the tool stack. Paths without
 * a leading slash are below the domain's own, /local/domain/N. Errors are xenstored's (-ENOENT,
 * -EACCES) and -EPROTO for what makes no sense.
 *
 * Requests and messages are independent of each other: who sends takes the answer later, when the
 * store's event comes. One caller at a time; the end of the domain may cut in, whose pv_store_write
 * takes the messages of others and forgets them.
 */
#ifndef PV_STORE_H
#define PV_STORE_H

#include <errno.h> /* before xs_wire.h, which has a table of those that are defined */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "pv/pv.h"

bool pv_store_present(void);
event_port_t pv_store_port(void);

/* Sends a request whose payload is a path, its NUL and more; the type is the request's id, too.
 * -EAGAIN: no room before the next event. */
int pv_store_send(uint32_t type, const char *path, const char *more, size_t more_bytes);

/* Takes the next message: an answer, by its id, or the news of a watch. Its payload is cut to
 * `bytes`. -EAGAIN: none before the next event. */
int pv_store_take(struct xsd_sockmsg *header, char *payload, size_t bytes);

/* What an answer of the type XS_ERROR says. */
int pv_store_error(const struct xsd_sockmsg *header, const char *payload);

/* For the end of the domain: waits for the answer, whether events are masked or not. -ETIMEDOUT. */
int pv_store_write(const char *path, const char *value);

#endif
