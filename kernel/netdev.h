/*
 * The network device class: what a driver (kernel/virtio/net.c) offers and what the stack (net/)
 * supplies. One struct netdev per interface, named eth0, eth1, ... in the order of discovery.
 *
 * Threads: the stack calls every operation from one thread at a time per device (its lock); a
 * driver calls `wake` and `link_changed` in event context, everything else only inside an
 * operation. No operation sleeps. Packets are Ethernet frames without FCS; byte counts are host
 * order.
 */
#ifndef KERNEL_NETDEV_H
#define KERNEL_NETDEV_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define NETDEV_NAME_BYTES 8
#define NETDEV_MAC_BYTES 6
/* Of a transmitted packet: a 64 KiB segment in pages, its headers, one for misalignment. */
#define NETDEV_MAX_FRAGMENTS 20
/* Room before a packet, if the stack has it: the driver may place its own header there. */
#define NETDEV_HEADROOM 12
/* Room in each receive buffer for what the stack keeps about it. */
#define NETDEV_STACK_BYTES 64

/* So many bytes behind the data of a received buffer can be read, too: lwIP looks into the
 * beginning of an IPv6 extension header before it asks whether all of that is there (its
 * ip6_input). */
#define NETDEV_TAIL_BYTES 8

/* What the device does for the stack, as negotiated. */
enum netdev_features {
    NETDEV_TX_CHECKSUM = 1, /* completes a checksum: netdev_tx.checksum_start */
    NETDEV_TX_TSO4 = 2, /* cuts a large TCP/IPv4 packet into segments: netdev_tx.segment_bytes */
    NETDEV_TX_TSO6 = 4,
    NETDEV_RX_CHECKSUM = 8, /* may vouch for a checksum: netdev_rx.checksum_is_good */
};

/* A packet to send. The memory stays the device's until `transmitted`. */
struct netdev_tx {
    unsigned nr_fragments; /* 1..NETDEV_MAX_FRAGMENTS */
    struct {
        const void *data; /* any kernel-virtual memory; may cross pages */
        size_t bytes;
    } fragments[NETDEV_MAX_FRAGMENTS];
    uint16_t checksum_start;  /* the device sums from here to the end ... */
    uint16_t checksum_offset; /* ... into here, behind start; the field holds the pseudo-header's
                                 sum. Both 0: nothing to do */
    uint16_t segment_bytes;   /* payload of each segment to be; 0: no segmentation */
    uint16_t header_bytes;    /* with segmentation: Ethernet, IP and TCP headers */
    bool is_ipv6;             /* with segmentation */
    bool has_headroom;        /* NETDEV_HEADROOM bytes before the first fragment are the driver's */
    void *cookie;             /* of the stack */
};

/* A part of a received packet, in a buffer of the driver's that the stack has until it frees it. */
struct netdev_buffer {
    struct netdev_buffer *next; /* the packet goes on there, or NULL */
    void *data;
    uint32_t bytes;
    alignas(16) char stack[NETDEV_STACK_BYTES];
};

/* A received packet; a driver has checked lengths against what the device may have written. */
struct netdev_rx {
    struct netdev_buffer *first;
    size_t bytes;          /* all of it; may exceed the MTU where the device merged segments */
    bool checksum_is_good; /* the TCP or UDP checksum is verified, or never was on a wire */
};

struct netdev;

struct netdev_ops {
    /* Queues a packet. -EAGAIN: the ring is full, try again after `transmitted`; -EIO: broken;
     * -EINVAL: needs a feature that the device lacks. */
    int (*transmit)(struct netdev *dev, const struct netdev_tx *packet);
    /* Tells the device of what was queued since the last call; once per batch. */
    void (*kick)(struct netdev *dev);
    /* Reports what was sent and hands up at most `budget` packets; returns how many. Refills the
     * device's receive buffers. */
    unsigned (*poll)(struct netdev *dev, unsigned budget);
    /* Lets the device call `wake` again (it does so once, then is silent until this is called).
     * Returns false, and stays silent, when work came in between: poll again. */
    bool (*listen)(struct netdev *dev);
    /* Takes a buffer back. May be called by any thread at any time, under the driver's own lock. */
    void (*free_buffer)(struct netdev *dev, struct netdev_buffer *buffer);
    /* Looks whether the device is still there (else it is broken); that costs some accesses. */
    void (*check)(struct netdev *dev);
};

struct netdev {
    /* The driver's. */
    char name[NETDEV_NAME_BYTES];
    uint8_t mac[NETDEV_MAC_BYTES];
    uint16_t mtu_bytes; /* of IP packets */
    unsigned features;  /* enum netdev_features */
    volatile bool link_is_up;
    volatile bool is_broken; /* the device lied or vanished; its operations do nothing */
    const struct netdev_ops *ops;
    struct {
        uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, interrupts, kicks;
    } counts;
    TAILQ_ENTRY(netdev) link;

    /* The stack's, set by netdev_attach. */
    const struct netdev_stack *stack;
    void *stack_data;
};

struct netdev_stack {
    void (*wake)(struct netdev *dev); /* event context: poll it */
    void (*receive)(struct netdev *dev, const struct netdev_rx *packet); /* the buffers are ours */
    void (*transmitted)(struct netdev *dev, void *cookie);
    void (*link_changed)(struct netdev *dev); /* event context; is_broken changed, too */
};

/* Driver: makes a device known, and names it. */
void netdev_register(struct netdev *dev);
/* Stack: every device in the order of discovery. From then on its operations may be called. */
struct netdev *netdev_first(void);
struct netdev *netdev_next(struct netdev *dev);
void netdev_attach(struct netdev *dev, const struct netdev_stack *stack, void *stack_data);

#endif
