/*
 * Split virtqueues (virtio 1.2, section 2.7): the rings of one queue and what is outstanding in
 * them. A queue knows neither device nor driver: it fills the descriptor table and the available
 * ring and reads the used ring, of which it believes nothing. kernel/virtio/virtio.h ties it to a
 * device.
 *
 * Life of a buffer: vq_add (any number of times), vq_publish (once per batch), then the device has
 * it until vq_reap returns its cookie. Its memory is any mapped memory; it is handed over page by
 * page, by machine address.
 * Lock: the caller's, one for all calls on a queue. Nothing sleeps but vq_create and vq_destroy;
 * the rest may be called in event context.
 */
#ifndef KERNEL_VIRTIO_VQ_H
#define KERNEL_VIRTIO_VQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pv/pv.h"

/* So that each part of the rings fits in a page; the largest is the table, 16 bytes an entry. */
#define VQ_MAX_ENTRIES 256
/* Of one buffer that goes into an indirect table. */
#define VQ_TABLE_ENTRIES 64

/* A part of a buffer, in any mapped memory; it may cross pages, and may not be empty. */
struct vq_piece {
    const void *data; /* the device writes there if the piece is among the nr_in */
    size_t bytes;
};

struct vq_options {
    unsigned entries; /* a power of 2, up to VQ_MAX_ENTRIES */
    unsigned tables;  /* indirect tables, 1 KiB each; 0: none (VIRTIO_F_INDIRECT_DESC) */
    bool event_idx;   /* VIRTIO_F_EVENT_IDX */
};

struct vq_descriptor;
struct vq_available;
struct vq_used;
struct vq_slot;

struct vq {
    unsigned entries;
    unsigned nr_tables;
    bool event_idx;
    maddr_t descriptors_at, available_at, used_at; /* what the device is told */

    /* Shared with the device. */
    struct vq_descriptor *descriptors;
    struct vq_available *available;
    volatile struct vq_used *used;

    /* Ours alone. Indices are free running, modulo 2^16. */
    struct vq_slot *slots;   /* one for each descriptor */
    uint16_t free_first;     /* the free descriptors, linked by slots[].next */
    uint16_t nr_free;        /* how many */
    uint16_t nr_outstanding; /* buffers added and not reaped */
    uint16_t added;          /* index of the next entry of the available ring */
    uint16_t published;      /* of which the device knows */
    uint16_t reaped;         /* index of the next entry of the used ring */
    uint16_t used_seen;      /* the used index when we last looked */
    uint16_t free_table;     /* the first free indirect table, or VQ_NO_TABLE */
    struct vq_table *tables;
    const char *lie;    /* what the device did wrong, or NULL: the queue is dead */
    uint32_t lie_value; /* the number that it wrote */
    void *memory;       /* all of the above in one region */
    size_t memory_bytes;
};

/* Zeroed rings. -EINVAL: options out of range; -ENOMEM. */
int vq_create(struct vq *vq, const struct vq_options *options);
/* The device must have been reset. */
void vq_destroy(struct vq *vq);

/*
 * Adds a buffer: nr_out pieces that the device reads, then nr_in that it writes. It sees them after
 * vq_publish. -EAGAIN: no room until something is reaped; -EINVAL: no piece, an empty one, or
 * more than ever fits; -EIO: the device lied.
 */
int vq_add(struct vq *vq, const struct vq_piece *pieces, unsigned nr_out, unsigned nr_in,
           void *cookie);

/*
 * The same with nr_in ranges of machine memory that the device writes, one descriptor each: frames
 * that need no mapping.
 */
struct vq_range {
    maddr_t start;
    size_t bytes;
};
int vq_add_ranges(struct vq *vq, const struct vq_range *ranges, unsigned nr_in, void *cookie);

/* Hands over what was added. True: the device wants a notification (section 2.7.10). */
bool vq_publish(struct vq *vq);

/*
 * Takes one used buffer: its cookie and how many bytes the device wrote, from the first nr_in piece
 * on; never more than they have room for. -EAGAIN: none is used; -EIO: the device lied (vq->lie).
 */
int vq_reap(struct vq *vq, void **cookie, uint32_t *written);

/* Whether vq_reap has something to do, without looking closer. */
bool vq_has_used(const struct vq *vq);

/*
 * Asks for an interrupt when the next buffer is used (section 2.7.7). False: one is already, reap
 * it first. With event_idx it comes once per call, otherwise until vq_silence. A queue starts
 * silent; an interrupt may come nevertheless.
 */
bool vq_listen(struct vq *vq);
void vq_silence(struct vq *vq);

/* After a reset of the device: takes back what it never used, in any order. False: nothing left. */
bool vq_take_back(struct vq *vq, void **cookie);

/* Buffers of one descriptor that can be added now. */
static inline unsigned vq_room(const struct vq *vq)
{
    return vq->nr_free;
}

static inline unsigned vq_outstanding(const struct vq *vq)
{
    return vq->nr_outstanding;
}

#endif
