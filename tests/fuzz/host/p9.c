/*
 * A host that lies about the folder that it shares (libc-glue/p9_client.c, p9_fs.c, and
 * folder_file.c above them). The input is a program: what the application does, and how the host
 * answers each message.
 */
#include "tests/fuzz/host/fuzz.h"

/* Its static state is reset for each input. */
#include "libc-glue/p9_client.c"

#include <dirent.h>

#include "libc-glue/fs.h"

#define MAX_NODES 6
#define MAX_FILES 4
#define MAX_TRANSFER_BYTES 6000
#define MAX_REPLY_BYTES 16384

static struct fuzz_input *in;
static bool is_right_at_first; /* version and attach are answered as they should be */
static uint8_t last_reply[MAX_REPLY_BYTES];
static size_t last_bytes;
static bool is_stuck;      /* it gives the same answer for ever */
static bool is_to_another; /* the last answer was not to our message */
static unsigned nr_exchanges;
static struct fs_node nodes[MAX_NODES];
static unsigned nr_nodes;
static struct file *files[MAX_FILES];
static unsigned nr_files, locked;

/* --- What is below, above and beside ---------------------------------------------------------- */

int mutex_lock(struct mutex *m)
{
    FUZZ_CHECK(m->depth++ == 0);
    locked++;
    return 0;
}

int mutex_unlock(struct mutex *m)
{
    FUZZ_CHECK(m->depth-- == 1);
    locked--;
    return 0;
}

void file_init(struct file *file, const struct file_ops *ops, int flags)
{
    *file = (struct file){.ops = ops, .references = 1, .flags = flags};
}

struct fs_node mount_root(void)
{
    return fs_get(nodes[0]); /* the host's folder is all that there is */
}

bool mount_find(const char *name, size_t bytes, struct fs_node *out)
{
    (void)name, (void)bytes, (void)out;
    return false;
}

const char *mount_name(unsigned n, struct fs_node *out)
{
    (void)n, (void)out;
    return NULL;
}

const char *mount_name_of(struct fs_node node)
{
    return node.id == nodes[0].id ? "" : NULL;
}

/* --- The host --------------------------------------------------------------------------------- */

enum { RAW = 1, ERROR = 2, STUCK = 4, FAILS = 8, FULL = 16, OTHER_TAG = 32 };

static void put32(uint8_t *at, size_t value)
{
    memcpy(at, &(uint32_t){(uint32_t)value}, 4);
}

static size_t first_reply(uint8_t type)
{
    static const uint8_t version[] = "\x15\0\0\0\x65\xff\xff\0\0\2\0\x08\0009P2000.L";
    static const uint8_t attach[] = "\x14\0\0\0\x69\1\0\x80";
    size_t bytes = type == P9_TVERSION ? 21 : 20;

    memset(last_reply, 0, bytes);
    memcpy(last_reply, type == P9_TVERSION ? version : attach,
           type == P9_TVERSION ? sizeof(version) - 1 : sizeof(attach) - 1);
    return bytes;
}

static size_t make_reply(const struct p9_exchange *e, size_t room, uint8_t how)
{
    const uint8_t *question = e->request;
    size_t body = fuzz_u16(in) % (room + 1);

    if (body > MAX_REPLY_BYTES)
        body = MAX_REPLY_BYTES;
    if (how & RAW) {
        fuzz_take(in, last_reply, body);
        return body;
    }
    body = body > HEADER_BYTES ? body : HEADER_BYTES;
    fuzz_take(in, last_reply + HEADER_BYTES, body - HEADER_BYTES);
    put32(last_reply, how & FULL ? room : body);
    last_reply[4] = how & ERROR ? RLERROR : (uint8_t)(question[4] + 1);
    memcpy(last_reply + 5, question + 5, 2);
    is_to_another = how & OTHER_TAG;
    if (is_to_another)
        last_reply[5] ^= 1;
    return body;
}

static long answer(struct p9_device *device, const struct p9_exchange *e)
{
    const uint8_t *question = e->request;
    size_t room = e->reply_bytes + e->reply_data_bytes;
    uint32_t size;

    (void)device;
    FUZZ_CHECK(++nr_exchanges <= MAX_TRANSFER_BYTES + 8); /* in one step: it ends */
    memcpy(&size, question, 4);
    FUZZ_CHECK(locked && size == e->request_bytes + e->request_data_bytes &&
               size <= (is_connected ? max_bytes : MESSAGE_BYTES) && room <= P9_MAX_BYTES);
    if (is_right_at_first && (question[4] == P9_TVERSION || question[4] == P9_TATTACH)) {
        last_bytes = first_reply(question[4]);
    } else if (!is_stuck) {
        uint8_t how = fuzz_u8(in);

        if (how & FAILS)
            return -EIO;
        last_bytes = make_reply(e, room, how);
        is_stuck = how & STUCK;
    } else if (last_bytes > 4) {
        last_reply[4] = (uint8_t)(question[4] + 1);
    }
    size_t bytes = last_bytes < room ? last_bytes : room;
    size_t first = bytes < e->reply_bytes ? bytes : e->reply_bytes;

    memcpy(e->reply, last_reply, first);
    if (bytes > first)
        memcpy(e->reply_data, last_reply + first, bytes - first);
    return (long)bytes;
}

struct p9_device *p9_device(void)
{
    static struct p9_device device = {.exchange = answer};

    return &device;
}

/* --- The application -------------------------------------------------------------------------- */

static const char *name(size_t *bytes)
{
    static char longest[NAME_MAX];

    memset(longest, 'n', sizeof(longest));
    *bytes = fuzz_u8(in) & 1 ? sizeof(longest) : 1;
    return longest;
}

static struct fs_node *some_node(void)
{
    return &nodes[fuzz_u8(in) % nr_nodes];
}

static struct fs_node *some_folder(void)
{
    struct fs_node *node = some_node();

    return fs_is_folder(*node) ? node : &nodes[0];
}

static void keep(struct fs_node node)
{
    if (nr_nodes < MAX_NODES)
        nodes[nr_nodes++] = node;
    else
        fs_put(node);
}

static void close_file(unsigned n)
{
    struct fs_node node = files[n]->node;

    files[n]->ops->release(files[n]);
    fs_put(node);
    files[n] = files[--nr_files];
}

static void check_stat(int error, const struct stat *info)
{
    if (error == 0)
        FUZZ_CHECK(!is_to_another && info->st_size >= 0 && info->st_blksize > 0 &&
                   info->st_mtim.tv_nsec >= 0 && info->st_mtim.tv_nsec < 1000000000);
}

static void check_entries(const char *buffer, ssize_t bytes)
{
    off_t position = 0;

    for (ssize_t at = 0; at < bytes;) {
        const struct dirent *d = (const void *)(buffer + at);

        FUZZ_CHECK(d->d_reclen > 0 && d->d_reclen % 8 == 0 && at + d->d_reclen <= bytes);
        FUZZ_CHECK(d->d_name[0] && !strchr(d->d_name, '/') && d->d_off >= 0 &&
                   d->d_off != position &&
                   offsetof(struct dirent, d_name) + strlen(d->d_name) < d->d_reclen);
        position = d->d_off;
        at += d->d_reclen;
    }
}

static void use_folder(struct file *file, char *buffer, size_t bytes)
{
    ssize_t result = file->ops->entries(file, buffer, bytes, &file->position);

    FUZZ_CHECK(result <= (ssize_t)bytes && file->position >= 0);
    check_entries(buffer, result);
}

static void use_file(uint8_t what)
{
    struct file *file = files[fuzz_u8(in) % nr_files];
    size_t bytes = fuzz_u16(in) % MAX_TRANSFER_BYTES;
    char *buffer = malloc(bytes + 1);
    struct iovec parts[2] = {{buffer, bytes / 3}, {buffer + bytes / 3, bytes - bytes / 3}};
    struct stat info = {0};
    int error;

    memset(buffer, 0, bytes);
    switch (what) {
    case 0:
        if (file->ops->entries)
            use_folder(file, buffer, bytes);
        break;
    case 1:
    case 2:
        if (file->ops->write)
            FUZZ_CHECK((what == 1 ? file->ops->write : file->ops->read)(
                           file, parts, 2, &file->position) <= (ssize_t)bytes &&
                       file->position >= 0);
        break;
    case 3:
        error = file->ops->stat(file, &info);
        check_stat(error, &info);
        if (error == 0 && fuzz_u8(in) & 1)
            file->position = info.st_size;
        break;
    default:
        file->ops->sync(file);
    }
    free(buffer);
}

static void open_some(struct fs_node node)
{
    struct file *file;

    if (nr_files == MAX_FILES)
        return;
    if (fs_is_folder(node)
            ? folder_file_open(node, O_RDONLY, &file) == 0
            : p9_fs.open(node, O_RDWR | (fuzz_u8(in) & 1 ? O_APPEND : 0), &file) == 0)
        files[nr_files++] = file;
}

static void look_at(struct fs_node node)
{
    struct stat info = {0};
    struct statvfs all = {0};
    char target[256], own_name[NAME_MAX + 1];
    struct fs_node above;

    check_stat(p9_fs.stat(node.id, &info), &info);
    p9_fs.statvfs(&all);
    ssize_t bytes = p9_fs.readlink(node.id, target, sizeof(target));
    FUZZ_CHECK(bytes <= (ssize_t)sizeof(target));
    if (bytes > 0)
        FUZZ_CHECK(!memchr(target, 0, (size_t)bytes));
    if (node.id != nodes[0].id && p9_fs.parent(node.id, &above, own_name) == 0)
        fs_put(above);
}

static void change(uint8_t what)
{
    struct fs_node *folder = some_folder(), *node = some_node(), made;
    struct fs_change change = {.what = fuzz_u8(in) & 0x3f, .mode = 0644};
    char target[PATH_MAX < 1024 ? PATH_MAX : 1024]; /* the guest's PATH_MAX */
    size_t bytes;
    const char *new_name = name(&bytes);

    memset(target, 't', sizeof(target) - 1);
    target[sizeof(target) - 1] = 0;
    switch (what) {
    case 0:
        if (p9_fs.create(folder->id, new_name, bytes, 0644, &made) == 0)
            keep(made);
        break;
    case 1:
        p9_fs.mkdir(folder->id, new_name, bytes, 0755);
        break;
    case 2:
        p9_fs.symlink(folder->id, new_name, bytes, target);
        break;
    case 3:
        p9_fs.link(node->id, folder->id, new_name, bytes);
        break;
    case 4:
        p9_fs.unlink(folder->id, new_name, bytes);
        break;
    case 5:
        p9_fs.rmdir(folder->id, new_name, bytes);
        break;
    case 6:
        p9_fs.rename(folder->id, new_name, bytes, folder->id, new_name, bytes);
        break;
    default:
        p9_fs.change(node->id, &change);
    }
}

static void look_up(struct fs_node folder)
{
    struct fs_node found;
    size_t bytes;
    const char *wanted = name(&bytes);

    if (p9_fs.lookup(folder.id, wanted, bytes, &found) == 0)
        keep(found);
}

static void step(uint8_t what)
{
    nr_exchanges = 0;
    switch (what & 7) {
    case 0:
        look_up(*some_folder());
        break;
    case 1:
        look_at(*some_node());
        break;
    case 2:
        open_some(*some_node());
        break;
    case 3:
    case 4:
        if (nr_files > 0)
            use_file(what >> 3 & 7);
        break;
    case 5:
        change(what >> 3 & 7);
        break;
    case 6:
        if (nr_nodes > 1)
            fs_put(nodes[--nr_nodes]);
        break;
    default:
        if (nr_files > 0)
            close_file(fuzz_u8(in) % nr_files);
    }
    FUZZ_CHECK(locked == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};

    in = &input;
    is_connected = is_stuck = is_to_another = false;
    refusal = 0;
    max_bytes = MESSAGE_BYTES;
    last_fid = ROOT_FID;
    nr_nodes = nr_files = 0;
    last_bytes = 0;
    log_level = LOG_LEVEL_ERROR;
    is_right_at_first = !(fuzz_u8(in) & 1);
    if (p9_fs.root(&nodes[0]) != 0)
        return 0;
    nr_nodes = 1;
    while (fuzz_left(in))
        step(fuzz_u8(in));
    while (nr_files > 0)
        close_file(0);
    while (nr_nodes > 0)
        fs_put(nodes[--nr_nodes]);
    return 0;
}
