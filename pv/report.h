/*
 * How the guest ended, told to the host's tool (tools/parvus) where the hypervisor has no way of
 * its own to pass it on, that is on Xen: as one line, `exit STATUS`, `crash` or `oom`.
 */
#ifndef PV_REPORT_H
#define PV_REPORT_H

#include <stdbool.h>

#include "pv/pv.h"

/* Whether there is somebody to tell. Boot only; needs the store (pv/store.h). */
bool pv_report_init(void);

/* Tells it, right before the end; any context. Without effect where nobody listens. */
void pv_report(enum pv_shutdown how, unsigned status);

#endif
