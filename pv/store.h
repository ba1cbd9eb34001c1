/*
 * Xenstore (private to pv/): named strings that a domain shares with the tool stack. Paths without
 * a leading slash are below the domain's own, /local/domain/N. Calls wait for xenstored's answer,
 * whether events are masked or not, and end with -ETIMEDOUT when it does not come; other errors
 * are xenstored's (-ENOENT, -EACCES) and -EPROTO for an answer that makes no sense.
 * One caller at a time; at the end of the domain a second one may cut in.
 */
#ifndef PV_STORE_H
#define PV_STORE_H

#include <stdbool.h>
#include <stddef.h>

bool pv_store_present(void);

/* The value, NUL-terminated. -ENOSPC: longer than bytes - 1. */
int pv_store_read(const char *path, char *value, size_t bytes);
int pv_store_write(const char *path, const char *value);

/* From now on a change of the value raises the store's event; pv_store_changed then tells, once,
 * that some watched value may have changed. */
int pv_store_watch(const char *path);
bool pv_store_changed(void);

#endif
