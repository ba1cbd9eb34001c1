/*
 * Two network devices with a wire between them, in memory: what a test of net/device.c plugs in.
 *
 * The wire may lose, corrupt, duplicate and reorder frames, repeatably. A device may offer
 * offloads: it then completes checksums, cuts large packets, or hands them over whole and in
 * several buffers, and it counts what the stack got wrong.
 */
#ifndef TESTS_NET_WIRE_H
#define TESTS_NET_WIRE_H

#include "kernel/netdev.h"

struct wire_options {
    unsigned features;     /* enum netdev_features, of both ends */
    bool merges;           /* a packet to be cut arrives whole */
    unsigned buffer_bytes; /* of a received packet's parts */
    unsigned ring;         /* frames that wait for a kick, at most */
    /* Of 10000 frames. */
    unsigned lost, corrupted, duplicated, reordered;
    uint64_t seed;
};

struct wire;

/* Registers both devices: the next two ethN. Never fails. */
struct wire *wire_new(const struct wire_options *options);
/* What changes while it is in use. */
void wire_set(struct wire *w, const struct wire_options *options);

struct wire_counts {
    unsigned frames, lost, corrupted, duplicated, reordered;
    unsigned kicks, large, bad_checksums, bad_frames, buffers_out, full;
};
void wire_counts(const struct wire *w, struct wire_counts *out);
struct netdev *wire_end(struct wire *w, unsigned i);

#endif
