/*
 * A folder of the host's, reached by messages of the 9P protocol: what a driver
 * (kernel/virtio/p9.c) offers. What the messages say is libc-glue's (p9_client.c). One such device
 * is used, the first.
 */
#ifndef KERNEL_P9_H
#define KERNEL_P9_H

#include <stddef.h>

/* A request in up to two parts, and where its reply goes: the first part is filled before the
 * second one. Parts of 0 bytes are none. */
struct p9_exchange {
    const void *request, *request_data;
    void *reply, *reply_data;
    size_t request_bytes, request_data_bytes, reply_bytes, reply_data_bytes;
};

struct p9_device {
    /* The bytes of the reply. Threads, one at a time; sleeps until the host has answered. -EIO: the
     * device broke. */
    long (*exchange)(struct p9_device *device, const struct p9_exchange *exchange);
};

/* The most bytes of a message, either way, of which all but a page are parts called data. */
#define P9_MAX_BYTES (128ul << 10)

/* Driver, at boot. */
void p9_register(struct p9_device *device);
/* NULL: there is none. */
struct p9_device *p9_device(void);

#endif
