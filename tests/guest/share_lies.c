/*
 * A folder of a host that lies (libc-glue/p9_client.c, p9_fs.c), by a 9P device of our own
 * (fake_device.h): whatever it says, each call ends, with an error where it must.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/sync.h"
#include "kernel/thread.h"
#include "tests/guest/fake_device.h"
#include "tests/guest/test.h"

#define MAX_PIECES 8
#define REPLY_BYTES 8192
#define SIZE 5 /* of the file that there is, and what is in it: "aaaaa" */

/* Requests (libc-glue/p9_client.h); a reply's type is one more. */
enum {
    LOPEN = 12,
    LCREATE = 14,
    READLINK = 22,
    GETATTR = 24,
    READDIR = 40,
    VERSION = 100,
    ATTACH = 104,
    WALK = 110,
    READ = 116,
    WRITE = 118,
};
#define ERROR 7
#define FOLDER 0x80
#define LINK 0x02

/* The one thing in which it lies, or does otherwise. */
enum lie {
    NOTHING,
    WALK_OF_NONE,
    NOT_THERE,
    NOT_THERE_YET_THERE,
    NO_ERROR,
    UNKNOWN_ERROR,
    OTHER_TAG,
    OTHER_TYPE,
    LONGER_THAN_IT_IS,
    TOO_SHORT,
    SLASH,
    NUL,
    NO_NAME,
    LONG_NAME,
    ONLY_ITSELF,
    CIRCLE,
    NEGATIVE_SIZE,
    LARGEST_SIZE,
    NO_TIME,
    HUGE_BLOCKS,
    MUCH_READ,
    MUCH_WRITTEN,
    NONE_WRITTEN,
    LINK_WITH_NUL,
    LINK_LONGER_THAN_IT_IS,
    BAD_ID,
};
static enum lie lie;
static struct fake_device device;
static uint8_t kind; /* of what is walked to */
static uint8_t reply[REPLY_BYTES];
static size_t reply_bytes;

/* --- The host --------------------------------------------------------------------------------- */

static void put(uint64_t value, unsigned bytes)
{
    memcpy(reply + reply_bytes, &value, bytes);
    reply_bytes += bytes;
}

static void put_text(const char *text, size_t bytes)
{
    put(bytes, 2);
    memcpy(reply + reply_bytes, text, bytes);
    reply_bytes += bytes;
}

static void put_qid(uint8_t type)
{
    put(type, 1);
    put(0, 4);
    put(1, 8);
}

static void put_error(uint32_t number)
{
    reply[4] = ERROR;
    put(number, 4);
}

static void put_attributes(void)
{
    put(0x7ff, 8);
    put_qid(kind);
    put(0100644, 4);
    put(0, 4 + 4);
    put(1, 8);
    put(0, 8);
    put(lie == NEGATIVE_SIZE ? ~0ul : lie == LARGEST_SIZE ? INT64_MAX - 4ul : SIZE, 8);
    put(lie == HUGE_BLOCKS ? 1ul << 40 : 4096, 8);
    put(1, 8);
    for (unsigned i = 0; i < 3; i++) {
        put(i, 8);
        put(lie == NO_TIME ? 1000000000 : 5, 8);
    }
    for (unsigned i = 0; i < 4; i++)
        put(0, 8);
}

static void put_entry(uint64_t next, const char *name, size_t bytes)
{
    put_qid(0);
    put(next, 8);
    put(8, 1);
    put_text(name, bytes);
}

static void put_entries(uint64_t from)
{
    static const char longest[300] = {[0 ... 299] = 'n'};
    size_t start = reply_bytes;

    put(0, 4);
    if (lie == ONLY_ITSELF)
        put_entry(from + 1, ".", 1);
    else if (lie == CIRCLE)
        put_entry(0, "a", 1);
    else if (from == 0)
        put_entry(1, "a", 1);
    else if (from == 1 && lie == SLASH)
        put_entry(2, "../b", 4);
    else if (from == 1 && lie == NUL)
        put_entry(2, "b\0c", 3);
    else if (from == 1 && lie == NO_NAME)
        put_entry(2, "", 0);
    else if (from == 1 && lie == LONG_NAME)
        put_entry(2, longest, sizeof(longest));
    uint32_t bytes = (uint32_t)(reply_bytes - start - 4);
    memcpy(reply + start, &bytes, 4);
}

static void put_link(void)
{
    if (lie == LINK_WITH_NUL) {
        put_text("a\0b", 3);
    } else {
        put_text("a", 1);
        if (lie == LINK_LONGER_THAN_IT_IS)
            reply[reply_bytes - 2] = 0xff;
    }
}

/* The fields of the reply; those of the request begin behind its header. */
static void put_body(uint8_t type, const uint8_t *fields)
{
    uint32_t count;

    switch (type) {
    case VERSION:
        put(0x10000, 4);
        put_text("9P2000.L", 8);
        break;
    case ATTACH:
        put_qid(FOLDER);
        break;
    case WALK: /* to a name, or (0 of them) to the same */
        if (fields[8] && (lie == NOT_THERE || lie == NOT_THERE_YET_THERE)) {
            put_error(2);
        } else {
            put(lie == WALK_OF_NONE ? 0 : fields[8], 2);
            if (fields[8] && lie != WALK_OF_NONE)
                put_qid(kind);
        }
        break;
    case GETATTR:
        if (lie == NO_ERROR || lie == UNKNOWN_ERROR)
            put_error(lie == NO_ERROR ? 0 : 0xfffffff0);
        else
            put_attributes();
        break;
    case LOPEN:
    case LCREATE:
        if (lie == NOT_THERE_YET_THERE && type == LCREATE) {
            put_error(17);
        } else {
            put_qid(kind);
            put(0, 4);
        }
        break;
    case READLINK:
        put_link();
        break;
    case READDIR:
        memcpy(&count, fields + 4, 4);
        put_entries(count);
        break;
    case READ:
        count = SIZE - fields[4];
        put(lie == MUCH_READ ? 1u << 30 : count, 4);
        memset(reply + reply_bytes, 'a', count);
        reply_bytes += count;
        break;
    case WRITE:
        memcpy(&count, fields + 12, 4);
        put(lie == NONE_WRITTEN ? 0 : lie == MUCH_WRITTEN ? count + 1 : count, 4);
        break;
    default:
        break;
    }
}

static void make_reply(const uint8_t *request)
{
    reply_bytes = 4;
    put(request[4] + 1u, 1);
    put(request[5] | (unsigned)request[6] << 8, 2);
    put_body(request[4], request + 7);
    if (lie == OTHER_TAG)
        reply[5] ^= 1;
    if (lie == OTHER_TYPE)
        reply[4] += 2;
    uint32_t size = (uint32_t)reply_bytes + (lie == LONGER_THAN_IT_IS ? 1000 : 0);
    memcpy(reply, &size, 4);
    if (lie == TOO_SHORT)
        reply_bytes = 6;
}

/* Where memory of the image is: both sides' buffers lie there in this test. */
static uint8_t *memory_at(uint64_t machine_address)
{
    for (pfn_t pfn = {0}; pfn.n < pv_boot.free_start.n; pfn.n++)
        if (pv_mfn(pfn).n == machine_address >> PAGE_SHIFT)
            return (uint8_t *)pv_boot_address(pfn) + machine_address % PAGE_SIZE;
    return NULL;
}

static void answer(struct virtio_queue *q)
{
    struct fake_piece pieces[MAX_PIECES];
    uint64_t address;
    uint32_t bytes;
    size_t done = 0;
    int head = fake_device_take(&device, q, &address, &bytes);

    if (head < 0)
        return;
    unsigned n = fake_device_pieces(q, (unsigned)head, pieces, MAX_PIECES);
    const uint8_t *request = memory_at(address);

    REQUIRE(n <= MAX_PIECES && request && bytes >= 7); /* no request here begins near an edge */
    make_reply(request);
    for (unsigned i = 0; i < n && done < reply_bytes; i++) {
        size_t part = reply_bytes - done < pieces[i].bytes ? reply_bytes - done : pieces[i].bytes;

        if (!pieces[i].is_writable)
            continue;
        uint8_t *to = memory_at(pieces[i].address);
        REQUIRE(to);
        memcpy(to, reply + done, part);
        done += part;
    }
    fake_device_use(q, lie == BAD_ID ? 12345 : (uint32_t)head, (uint32_t)done);
    fake_device_interrupt(q);
}

/* The driver notifies with its lock held: the device answers in a thread of its own. */
static struct semaphore asked;
static bool is_over;

static void notified(struct fake_device *f, struct virtio_queue *q)
{
    (void)f, (void)q;
    semaphore_post(&asked);
}

static void *host(void *unused)
{
    for (semaphore_wait(&asked); !is_over; semaphore_wait(&asked))
        answer(&device.dev->queues[0]);
    return unused;
}

/* --- The application -------------------------------------------------------------------------- */

/* Entries of the folder, or -1 and errno. */
static int count_entries(void)
{
    DIR *folder = opendir("/host");
    int count = 0;

    if (folder == NULL)
        return -1;
    errno = 0;
    while (readdir(folder) != NULL && count < 1000)
        count++;
    int error = errno;
    closedir(folder);
    errno = error;
    return error != 0 ? -1 : count;
}

#define CHECK_ERROR(result, number)                                                                \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK_EQ(result, -1);                                                                      \
        CHECK_EQ(errno, number);                                                                   \
    } while (0)

static void check_honest(void)
{
    static char buffer[100];
    struct stat info;

    lie = NOTHING;
    kind = 0;
    CHECK_OK(stat("/host/f", &info));
    CHECK_EQ(info.st_size, SIZE);
    CHECK_EQ(count_entries(), 3);
    int fd = open("/host/f", O_RDWR);
    REQUIRE(fd >= 0);
    CHECK_EQ(read(fd, buffer, sizeof(buffer)), SIZE);
    CHECK_EQ(write(fd, buffer, sizeof(buffer)), sizeof(buffer));
    CHECK_OK(close(fd));
    kind = LINK;
    CHECK_EQ(readlink("/host/l", buffer, sizeof(buffer)), 1);
    kind = 0;
}

static void check_stats(void)
{
    static const enum lie lies[] = {WALK_OF_NONE, NO_ERROR,          UNKNOWN_ERROR, OTHER_TAG,
                                    OTHER_TYPE,   LONGER_THAN_IT_IS, TOO_SHORT,     NEGATIVE_SIZE,
                                    NO_TIME,      HUGE_BLOCKS};
    struct stat info;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        lie = lies[i];
        CHECK_ERROR(stat("/host/f", &info), EIO);
    }
    lie = NOT_THERE;
    CHECK_ERROR(stat("/host/f", &info), ENOENT);
}

static void check_listings(void)
{
    static const enum lie lies[] = {SLASH, NUL, NO_NAME, LONG_NAME, ONLY_ITSELF, CIRCLE, TOO_SHORT};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        lie = lies[i];
        CHECK_ERROR(count_entries(), EIO);
    }
}

static void check_files(void)
{
    static char buffer[100];
    int fd = open("/host/f", O_RDWR), end;

    REQUIRE(fd >= 0);
    lie = MUCH_READ;
    CHECK_ERROR(read(fd, buffer, sizeof(buffer)), EIO);
    lie = MUCH_WRITTEN;
    CHECK_ERROR(write(fd, buffer, sizeof(buffer)), EIO);
    lie = NONE_WRITTEN;
    CHECK_ERROR(write(fd, buffer, sizeof(buffer)), EIO);
    lie = NOTHING;
    end = open("/host/f", O_RDWR | O_APPEND);
    REQUIRE(end >= 0);
    lie = LARGEST_SIZE; /* there is room for 4 bytes more */
    CHECK_EQ(write(end, buffer, sizeof(buffer)), 4);
    CHECK_EQ(lseek(end, 0, SEEK_CUR), INT64_MAX);
    lie = NOTHING;
    CHECK_EQ(read(end, buffer, sizeof(buffer)), 0);
    CHECK_OK(close(end));
    CHECK_OK(close(fd));
}

static void check_names(void)
{
    char target[64];

    lie = NOT_THERE_YET_THERE;
    CHECK_ERROR(open("/host/new", O_RDWR | O_CREAT, 0600), EEXIST);
    kind = LINK;
    lie = LINK_WITH_NUL;
    CHECK_ERROR(readlink("/host/l", target, sizeof(target)), EIO);
    lie = LINK_LONGER_THAN_IT_IS;
    CHECK_ERROR(readlink("/host/l", target, sizeof(target)), EIO);
    lie = NOTHING; /* a link to itself */
    CHECK_ERROR(open("/host/l", O_RDONLY), ELOOP);
    kind = 0;
}

TEST(share_lies,
     "A host that lies about the folder it shares: errors, no harm, no call without end.")
{
    struct thread *thread;

    device = (struct fake_device){.device_id = VIRTIO_ID_9P, .nr_queues = 1, .notified = notified};
    REQUIRE_OK(thread_create(&thread, NULL, host, NULL));
    REQUIRE_OK(fake_device_plug(&device));
    check_honest();
    check_stats();
    check_honest();
    check_listings();
    check_honest();
    check_files();
    check_names();
    check_honest(); /* it was the host's word each time, nothing is broken here */
    lie = BAD_ID;
    CHECK_ERROR(access("/host/f", F_OK), EIO);
    CHECK(device.dev->is_broken);
    lie = NOTHING;
    CHECK_ERROR(access("/host/f", F_OK), EIO);
    is_over = true;
    semaphore_post(&asked);
    CHECK_OK(thread_join(thread, NULL));
}
