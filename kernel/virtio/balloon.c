/*
 * The memory balloon (virtio 1.2, section 5.5): the host asks for frames of ours, gets statistics,
 * and hears of frames that have become free. Free page hinting is not used: it saves time in a
 * migration only, and reporting has told the same before.
 *
 * Callers: kernel/memory_target.c, in threads, one at a time; events wake its thread. Ring 3.
 * Locks: none but that turn. One request is under way at a time, and its frames are nobody's until
 * the device has used the buffer: it may still write to them (5.5.6.2). Those of a device that
 * broke meanwhile stay where they are.
 */
#include <errno.h>
#include <string.h>

#include "kernel/balloon.h"
#include "kernel/clock.h"
#include "kernel/memory_target.h"
#include "kernel/page.h"
#include "kernel/sync.h"
#include "kernel/virtio/virtio.h"

/* Feature bits (5.5.3). We always tell the host before we use frames, and expect no contents of
 * them (F_PAGE_POISON, 4). */
enum {
    F_MUST_TELL_HOST = 0,
    F_STATS_VQ = 1,
    F_DEFLATE_ON_OOM = 2,
    F_FREE_PAGE_HINT = 3,
    F_PAGE_REPORTING = 5,
};
#define FEATURE(bit) (1ull << (bit))

/* struct virtio_balloon_config (5.5.4): offsets. */
enum { CONFIG_NUM_PAGES = 0, CONFIG_ACTUAL = 4 };

/* 5.5.6.4. There is no swap, and no cache that could be dropped. */
enum {
    STAT_SWAP_IN = 0,
    STAT_SWAP_OUT = 1,
    STAT_FREE = 4,
    STAT_TOTAL = 5,
    STAT_AVAILABLE = 6,
    STAT_CACHES = 7,
    NR_STATS = 6, /* so that all bytes are a multiple of 6, as 5.5.6.3.1 has it */
};

#define REQUEST_ENTRIES 4 /* an array of page numbers may cross a page */
#define REPORT_ENTRIES 32
#define REPORT_FRAMES 256
/* Reports are worth an exit from so many frames on, and not at all if they are soon used again. */
#define REPORT_LEAST 64
#define REPORT_DELAY_NS (2 * NS_PER_SECOND)
#define PATIENCE_NS NS_PER_SECOND /* then we look whether the device is still there */

struct balloon {
    struct memory_host host;
    struct virtio_device *dev;
    struct virtio_queue *inflate, *deflate, *stats, *report; /* the last two may be NULL */
    bool offers_hints;
    struct semaphore used;
    uint32_t numbers[MEMORY_TARGET_BATCH]; /* a request: frames in units of 4 KiB (5.5.6) */
    uint32_t actual;                       /* what the device was told */
    struct {
        uint16_t tag;
        uint64_t value;
    } __attribute__((packed)) values[NR_STATS];
    uint64_t report_from_ns; /* 0: few frames were freed since the last one */
    pfn_t frames[REPORT_FRAMES];
    struct vq_range ranges[REPORT_ENTRIES];
};

/* --- Requests --------------------------------------------------------------------------------- */

static void request_used(struct virtio_queue *q)
{
    struct balloon *b = q->dev->state;

    semaphore_post(&b->used);
}

static void broken(struct virtio_device *dev)
{
    struct balloon *b = dev->state;

    semaphore_post(&b->used);
    memory_target_wake();
}

/* Hands over what was added to the queue, and waits until the device has used it. False: broken. */
static bool complete(struct balloon *b, struct virtio_queue *q)
{
    void *cookie;
    uint32_t written;
    int error;

    virtio_kick(q);
    while ((error = virtio_reap(q, &cookie, &written)) == -EAGAIN) {
        if (virtio_listen(q) && semaphore_timedwait(&b->used, clock_monotonic_ns() + PATIENCE_NS))
            virtio_check(b->dev);
    }
    return !error;
}

/* How many of the frames the request named; their fate is known only if all went well. */
static unsigned name_frames(struct balloon *b, struct virtio_queue *q, const pfn_t *frames,
                            unsigned count, bool *is_done)
{
    unsigned named = 0;

    while (named < count && pv_mfn(frames[named]).n <= UINT32_MAX) {
        b->numbers[named] = (uint32_t)pv_mfn(frames[named]).n;
        named++;
    }
    *is_done = named && !virtio_add(q, (struct vq_piece[]){{b->numbers, named * 4}}, 1, 0, b) &&
               complete(b, q);
    return named;
}

static unsigned give(struct memory_host *host, const pfn_t *frames, unsigned count)
{
    struct balloon *b = (struct balloon *)host; /* its first member */
    bool is_done;

    /* Also those that a broken device got are not ours any more. */
    return name_frames(b, b->inflate, frames, count, &is_done);
}

static unsigned take(struct memory_host *host, const pfn_t *frames, unsigned count)
{
    struct balloon *b = (struct balloon *)host;
    bool is_done;
    unsigned named = name_frames(b, b->deflate, frames, count, &is_done);

    return is_done ? named : 0;
}

static int target(struct memory_host *host, uint64_t *pages)
{
    struct balloon *b = (struct balloon *)host;
    uint32_t wanted; /* in the balloon */

    virtio_config_read(b->dev, CONFIG_NUM_PAGES, &wanted, sizeof(wanted));
    if (b->dev->is_broken)
        return -EIO;
    *pages = wanted < pv_boot.max_pages ? pv_boot.max_pages - wanted : 0;
    return 0;
}

/* --- Statistics (5.5.6.3) --------------------------------------------------------------------- */

/* The device has one buffer of them; it uses it when it wants new ones. */
static void offer_stats(struct balloon *b)
{
    struct page_counts pages;

    page_counts(&pages);
    const struct {
        uint16_t tag;
        uint64_t pages;
    } stats[NR_STATS] = {
        {STAT_SWAP_IN, 0},
        {STAT_SWAP_OUT, 0},
        {STAT_FREE, pages.free_pages},
        {STAT_TOTAL, pages.total_pages},
        {STAT_AVAILABLE, pages.free_pages},
        {STAT_CACHES, 0},
    };
    for (unsigned i = 0; i < NR_STATS; i++) {
        b->values[i].tag = stats[i].tag;
        b->values[i].value = stats[i].pages * PAGE_SIZE;
    }
    virtio_add(b->stats, (struct vq_piece[]){{b->values, sizeof(b->values)}}, 1, 0, b);
    virtio_kick(b->stats);
    if (!virtio_listen(b->stats))
        memory_target_wake(); /* in its turn, however often a device asks */
}

static void answer_stats(struct balloon *b)
{
    void *cookie;
    uint32_t written;

    if (b->stats && virtio_reap(b->stats, &cookie, &written) == 0)
        offer_stats(b);
}

static void wake(struct virtio_queue *q)
{
    (void)q;
    memory_target_wake();
}

/* --- Free page reporting (5.5.6.7) ------------------------------------------------------------ */

/* As few ranges as the frames make that follow one another, upwards or downwards, in the order in
 * which they were freed. How many frames are in them. */
static unsigned make_ranges(struct balloon *b, unsigned count, unsigned *nr_ranges)
{
    struct vq_range *range = b->ranges - 1;
    unsigned i;

    for (i = 0; i < count; i++) {
        uint64_t start = pv_mfn(b->frames[i]).n << PAGE_SHIFT;

        if (i > 0 && start == range->start.n + range->bytes) {
            range->bytes += PAGE_SIZE;
        } else if (i > 0 && start + PAGE_SIZE == range->start.n) {
            range->start.n = start;
            range->bytes += PAGE_SIZE;
        } else {
            if (range + 1 == b->ranges + b->report->vq.entries)
                break;
            *++range = (struct vq_range){.start.n = start, .bytes = PAGE_SIZE};
        }
    }
    *nr_ranges = (unsigned)(range + 1 - b->ranges);
    return i;
}

static void report_some(struct balloon *b)
{
    unsigned nr_ranges, count = balloon_report(b->frames, REPORT_FRAMES);
    unsigned reported = count ? make_ranges(b, count, &nr_ranges) : 0;

    if (!reported)
        return;
    virtio_add_ranges(b->report, b->ranges, nr_ranges, b);
    if (complete(b, b->report) || b->dev->is_stopped)
        balloon_reported(b->frames, reported, count);
}

static void freed(void)
{
    memory_target_wake();
}

/* One report at most; when the next one is due, 0: now. */
static uint64_t report(struct balloon *b)
{
    uint64_t now = clock_monotonic_ns();

    if (!b->report || b->dev->is_broken)
        return UINT64_MAX;
    if (balloon_watch_freed(REPORT_LEAST, freed)) {
        b->report_from_ns = 0;
        return UINT64_MAX;
    }
    if (!b->report_from_ns)
        b->report_from_ns = now + REPORT_DELAY_NS;
    if (now < b->report_from_ns)
        return b->report_from_ns;
    report_some(b);
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

static uint64_t attend(struct memory_host *host)
{
    struct balloon *b = (struct balloon *)host;
    uint32_t actual = (uint32_t)balloon_pages();

    if (actual != b->actual) {
        b->actual = actual;
        virtio_config_write(b->dev, CONFIG_ACTUAL, &actual, sizeof(actual));
    }
    answer_stats(b);
    return report(b);
}

static void config_changed(struct virtio_device *dev)
{
    (void)dev;
    memory_target_wake();
}

static uint64_t choose(struct virtio_device *dev, uint64_t features)
{
    struct balloon *b = dev->state;

    b->offers_hints = features & FEATURE(F_FREE_PAGE_HINT);
    return features & ~FEATURE(F_FREE_PAGE_HINT);
}

static int create_queue(struct virtio_device *dev, unsigned entries,
                        void (*used)(struct virtio_queue *), struct virtio_queue **out)
{
    *out = &dev->queues[dev->nr_queues];
    return virtio_queue_create(dev, dev->nr_queues, &(struct virtio_queue_options){entries, 0},
                               used);
}

/* 5.5.2. A queue exists where its feature is offered; those that do not are not counted, in QEMU's
 * devices and in Linux. */
static int create_queues(struct balloon *b)
{
    struct virtio_queue *unused;
    struct virtio_device *dev = b->dev;
    int error = create_queue(dev, REQUEST_ENTRIES, request_used, &b->inflate);

    if (!error)
        error = create_queue(dev, REQUEST_ENTRIES, request_used, &b->deflate);
    if (!error && virtio_has(dev, F_STATS_VQ))
        error = create_queue(dev, REQUEST_ENTRIES, wake, &b->stats);
    if (!error && b->offers_hints)
        error = create_queue(dev, 1, NULL, &unused);
    if (!error && virtio_has(dev, F_PAGE_REPORTING))
        error = create_queue(dev, REPORT_ENTRIES, request_used, &b->report);
    return error;
}

static int probe(struct virtio_device *dev)
{
    struct balloon *b = dev->state;
    int error = balloon_init();

    b->dev = dev;
    if (!error)
        error = create_queues(b);
    if (!error)
        error = virtio_ready(dev);
    if (error)
        return error;
    if (b->stats)
        offer_stats(b);
    b->host = (struct memory_host){.target = target,
                                   .give = give,
                                   .take = take,
                                   .attend = attend,
                                   .relieves = virtio_has(dev, F_DEFLATE_ON_OOM)};
    return memory_target_start(&b->host);
}

const struct virtio_driver virtio_balloon_driver = {
    .name = "balloon",
    .device_id = VIRTIO_ID_BALLOON,
    .features = FEATURE(F_MUST_TELL_HOST) | FEATURE(F_STATS_VQ) | FEATURE(F_DEFLATE_ON_OOM) |
                FEATURE(F_FREE_PAGE_HINT) | FEATURE(F_PAGE_REPORTING),
    .state_bytes = sizeof(struct balloon),
    .choose = choose,
    .probe = probe,
    .config_changed = config_changed,
    .broken = broken,
};
