/*
 * Disks, consoles, entropy devices, balloons and 9P transports that lie (kernel/virtio/blk.c,
 * console.c, rng.c, balloon.c, p9.c; kernel/blkdev.c). The input is which, then a program of what
 * device and user do in turn. Where the user sleeps the device goes on; when the input is used up
 * it is gone.
 */
/* Its static state is reset for each input. */
#include "kernel/blkdev.c"

#include "kernel/balloon.h"
#include "kernel/console.h"
#include "kernel/entropy.h"
#include "kernel/memory_target.h"
#include "kernel/p9.h"
#include "kernel/sync.h"
#include "kernel/virtio/transport.h"
#include "tests/fuzz/host/machine.h"
#include "tests/fuzz/host/virtio_device.h"

#define CONFIG_BYTES 60 /* of the longest: the disk's */
#define NR_FRAMES 512
#define BUFFER_BYTES 16384
#define MAX_STEPS 100000 /* in one input, of a user that waits */

static struct fuzz_input *in;
static unsigned nr_steps;
static char buffer[BUFFER_BYTES];
static struct memory_host *memory_host;
static struct console_device *console;
static struct entropy_source *entropy;
static struct p9_device *p9;
static struct blkdev *disk;
static uint64_t in_balloon;

/* --- What sleeps ------------------------------------------------------------------------------ */

int mutex_lock(struct mutex *m)
{
    FUZZ_CHECK(m->depth++ == 0);
    return 0;
}

int mutex_unlock(struct mutex *m)
{
    FUZZ_CHECK(m->depth-- == 1);
    return 0;
}

void semaphore_init(struct semaphore *s, uint32_t count)
{
    s->count = count;
}

int semaphore_post(struct semaphore *s)
{
    s->count++;
    return 0;
}

static void device_acts(void)
{
    uint8_t what = fuzz_u8(in);

    FUZZ_CHECK(++nr_steps < MAX_STEPS);
    if (!fuzz_left(in)) {
        virtio_device_status = 0xff; /* and it interrupts no more */
        return;
    }
    if (what & 0x40)
        virtio_config_changed(virtio_device);
    else
        virtio_device_step(what);
    virtio_queues_used(virtio_device);
}

int semaphore_timedwait(struct semaphore *s, uint64_t deadline_ns)
{
    (void)deadline_ns;
    if (!s->count)
        device_acts();
    if (!s->count)
        return -ETIMEDOUT;
    s->count--;
    return 0;
}

/* There is one user: what it waits for without end must be there. */
void semaphore_wait(struct semaphore *s)
{
    FUZZ_CHECK(s->count-- > 0);
}

/* --- The kernel above the drivers ------------------------------------------------------------- */

struct pv_boot pv_boot;
const uint64_t *pv_frame_list;

void console_attach(struct console_device *device)
{
    console = device;
}

void console_input_came(void) {}

void entropy_register(struct entropy_source *source)
{
    entropy = source;
}

void p9_register(struct p9_device *device)
{
    p9 = device;
}

int memory_target_start(struct memory_host *host)
{
    memory_host = host;
    return 0;
}

void memory_target_wake(void) {}

int balloon_init(void)
{
    return 0;
}

uint64_t balloon_pages(void)
{
    return in_balloon;
}

bool balloon_watch_freed(uint64_t count, void (*fn)(void))
{
    (void)count, (void)fn;
    return fuzz_u8(in) & 1;
}

unsigned balloon_report(pfn_t *frames, unsigned count)
{
    unsigned n = fuzz_u8(in);

    for (unsigned i = 0; i < n && i < count; i++)
        frames[i].n = (i * 7 + n) % NR_FRAMES;
    return n < count ? n : count;
}

void balloon_reported(const pfn_t *frames, unsigned reported, unsigned count)
{
    (void)frames;
    FUZZ_CHECK(reported <= count);
}

/* --- The users -------------------------------------------------------------------------------- */

static void use_disk(void)
{
    uint64_t sector = fuzz_u16(in);
    size_t bytes = (size_t)fuzz_u8(in) * BLKDEV_SECTOR_BYTES % BUFFER_BYTES;

    FUZZ_CHECK(strnlen(disk->serial, sizeof(disk->serial)) < sizeof(disk->serial));
    switch (fuzz_u8(in) % 5) {
    case 0:
        blkdev_read(disk, sector, buffer, bytes);
        break;
    case 1:
        blkdev_write(disk, sector, buffer, bytes);
        break;
    case 2:
        blkdev_flush(disk);
        break;
    case 3:
        blkdev_discard(disk, sector, fuzz_u16(in));
        break;
    default:
        blkdev_write_zeroes(disk, sector, fuzz_u16(in));
    }
}

static void use_console(void)
{
    size_t bytes = fuzz_u16(in) % BUFFER_BYTES;

    if (fuzz_u8(in) & 1)
        FUZZ_CHECK(console->write(console, buffer, bytes) <= bytes);
    else
        FUZZ_CHECK(console->read(console, buffer, (int)bytes) <= (int)bytes);
}

static void use_balloon(void)
{
    static pfn_t frames[MEMORY_TARGET_BATCH];
    unsigned count = 1 + fuzz_u8(in) % 200;
    uint64_t pages;

    for (unsigned i = 0; i < count; i++)
        frames[i].n = (count + i) % NR_FRAMES;
    switch (fuzz_u8(in) & 3) {
    case 0:
        FUZZ_CHECK(memory_host->give(memory_host, frames, count) <= count);
        break;
    case 1:
        FUZZ_CHECK(memory_host->take(memory_host, frames, count) <= count);
        break;
    case 2:
        if (memory_host->target(memory_host, &pages) == 0)
            FUZZ_CHECK(pages <= NR_FRAMES);
        break;
    default:
        in_balloon = count;
        memory_host->attend(memory_host);
    }
}

static void use_p9(void)
{
    struct p9_exchange e = {.request = buffer,
                            .request_bytes = 1 + fuzz_u8(in),
                            .reply = buffer + 4096,
                            .reply_bytes = 11 + fuzz_u16(in) % 4000};

    if (fuzz_u8(in) & 1) {
        e.request_data = buffer + 8192;
        e.request_data_bytes = 1 + fuzz_u8(in);
    } else {
        e.reply_data = buffer + 8192;
        e.reply_data_bytes = fuzz_u16(in) % 8000;
    }
    long got = p9->exchange(p9, &e);
    FUZZ_CHECK(got == -EIO || (got >= 0 && got <= (long)(e.reply_bytes + e.reply_data_bytes)));
}

static void use(void)
{
    if (disk)
        use_disk();
    else if (console)
        use_console();
    else if (entropy)
        entropy->read(entropy, buffer, fuzz_u16(in) % BUFFER_BYTES);
    else if (memory_host)
        use_balloon();
    else
        use_p9();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint32_t ids[] = {VIRTIO_ID_BLK, VIRTIO_ID_CONSOLE, VIRTIO_ID_RNG,
                                   VIRTIO_ID_BALLOON, VIRTIO_ID_9P};
    static uint64_t frame_list[NR_FRAMES];
    struct fuzz_input input = {data, data + bytes};

    for (unsigned i = 0; i < NR_FRAMES; i++)
        frame_list[i] = 1000 + i;
    pv_frame_list = frame_list;
    pv_boot.nr_pages = pv_boot.max_pages = NR_FRAMES;
    in = &input;
    TAILQ_INIT(&devices);
    count = nr_steps = 0;
    in_balloon = 0;
    memory_host = NULL;
    console = NULL;
    entropy = NULL;
    p9 = NULL;
    uint32_t id = ids[fuzz_u8(in) % 5];
    int error = virtio_device_plug(in, id, CONFIG_BYTES);
    disk = error == 0 && id == VIRTIO_ID_BLK ? virtio_device->state : NULL;
    while (error == 0 && fuzz_left(in)) {
        if (fuzz_u8(in) & 1)
            device_acts();
        else
            use();
    }
    machine_free();
    return 0;
}
