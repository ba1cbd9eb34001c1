/*
 * Waiting for events of several files at once: what is behind poll and select.
 */
#ifndef LIBC_GLUE_POLL_H
#define LIBC_GLUE_POLL_H

#include "libc-glue/file.h"

struct poll_call; /* libc-glue/poll.c */

struct poll_watch {
    struct poll_waiter waiter; /* `events`: what is waited for */
    struct file *file;         /* a reference, or NULL: nothing to wait for */
    int fd;                    /* the caller's note */
    unsigned happened;         /* result */
    struct poll_call *call;
};

/* Sleeps until at least one watch has an event, or until the deadline; the number of those that
 * have, or -EINTR. Gives up the references. */
int poll_watches(struct poll_watch *watches, unsigned count, uint64_t deadline_ns);

/* `count` watches in `few` if they fit there (POLL_FEW), else allocated; NULL: no memory. */
#define POLL_FEW 8
struct poll_watch *poll_watches_new(struct poll_watch *few, unsigned count);
void poll_watches_free(struct poll_watch *few, struct poll_watch *watches);

#endif
