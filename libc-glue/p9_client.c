/*
 * The session with the host: one message at a time.
 *
 * Callers: see p9_client.h. Lock: `lock` protects all of it, from p9_begin to p9_end.
 */
#include "libc-glue/p9_client.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/p9.h"
#include "kernel/sync.h"

#define VERSION "9P2000.L"
#define HEADER_BYTES 7 /* size[4] type[1] tag[2] */
#define RLERROR 7
#define RREAD_BYTES (HEADER_BYTES + 4) /* before the data; as long as an Rlerror */
#define TAG 1
#define NO_TAG 0xffff
#define NO_FID UINT32_MAX
#define ROOT_FID 0
#define MESSAGE_BYTES 4096
#define LEAST_BYTES (2 * MESSAGE_BYTES) /* of the messages that the host must be able to take */

static struct mutex lock = MUTEX_INIT;
static bool is_connected;
static int refusal; /* a negative errno: connecting failed for good */
static size_t max_bytes = MESSAGE_BYTES;
static atomic_uint last_fid = ROOT_FID;

static uint8_t request[MESSAGE_BYTES], reply[MESSAGE_BYTES];
static size_t put_bytes, taken_bytes, reply_bytes;
static bool is_short;

size_t p9_max_data(void)
{
    return max_bytes - MESSAGE_BYTES;
}

/* They are used again after 2^32 others. */
uint32_t p9_new_fid(void)
{
    uint32_t fid;

    do {
        fid = atomic_fetch_add(&last_fid, 1) + 1;
    } while (fid == NO_FID || fid == ROOT_FID);
    return fid;
}

/* --- Fields ----------------------------------------------------------------------------------- */

static void put_at(size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        request[at + i] = (uint8_t)(value >> 8 * i);
}

/* Names and targets are bounded (NAME_MAX, PATH_MAX): all requests fit. */
void p9_put(uint64_t value, unsigned bytes)
{
    put_at(put_bytes, value, bytes);
    put_bytes += bytes;
}

void p9_put_text(const char *text, size_t bytes)
{
    p9_put(bytes, 2);
    memcpy(request + put_bytes, text, bytes);
    put_bytes += bytes;
}

const char *p9_take_bytes(size_t bytes)
{
    const char *start = (const char *)reply + taken_bytes;

    if (bytes > reply_bytes - taken_bytes) {
        is_short = true;
        return NULL;
    }
    taken_bytes += bytes;
    return start;
}

uint64_t p9_take(unsigned bytes)
{
    const char *field = p9_take_bytes(bytes);
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && field != NULL; i++)
        value |= (uint64_t)(uint8_t)field[i] << 8 * i;
    return value;
}

/* --- Messages --------------------------------------------------------------------------------- */

/* lock held. */
static void begin(uint8_t type, uint16_t tag)
{
    put_bytes = 4;
    taken_bytes = reply_bytes = 0;
    is_short = false;
    p9_put(type, 1);
    p9_put(tag, 2);
}

void p9_begin(uint8_t type)
{
    mutex_lock(&lock);
    begin(type, TAG);
}

/* The host's errors are Linux's, whose first 34 are everyone's. */
static int error_of(uint64_t number)
{
    static const struct {
        uint8_t theirs, ours;
    } others[] = {
        {35, EDEADLK},    {36, ENAMETOOLONG}, {37, ENOLCK},  {38, ENOSYS},    {39, ENOTEMPTY},
        {40, ELOOP},      {61, ENODATA},      {71, EPROTO},  {75, EOVERFLOW}, {84, EILSEQ},
        {95, EOPNOTSUPP}, {110, ETIMEDOUT},   {116, ESTALE}, {122, EDQUOT},
    };

    if (number > 0 && number <= 34)
        return -(int)number;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (number == others[i].theirs)
            return -others[i].ours;
    return -EIO;
}

int p9_send(struct p9_data *data)
{
    struct p9_exchange e = {.request = request,
                            .request_bytes = put_bytes,
                            .reply = reply,
                            .reply_bytes = MESSAGE_BYTES};
    uint8_t type = request[4];
    size_t out_bytes = 0;

    if (data != NULL && data->out != NULL) {
        e.request_data = data->out;
        e.request_data_bytes = out_bytes = data->bytes;
    } else if (data != NULL) {
        e.reply_bytes = RREAD_BYTES;
        e.reply_data = data->in;
        e.reply_data_bytes = data->bytes;
    }
    put_at(0, put_bytes + out_bytes, 4);
    long got = p9_device()->exchange(p9_device(), &e);
    if (got < 0)
        return (int)got;
    if (data != NULL)
        data->got = (size_t)got > e.reply_bytes ? (size_t)got - e.reply_bytes : 0;
    reply_bytes = (size_t)got < e.reply_bytes ? (size_t)got : e.reply_bytes;
    uint64_t bytes = p9_take(4), reply_type = p9_take(1), tag = p9_take(2);
    if (is_short || bytes > (uint64_t)got || tag != (request[5] | (unsigned)request[6] << 8))
        return -EIO;
    if (reply_type == RLERROR)
        return error_of(p9_take(4));
    return reply_type == type + 1u ? 0 : -EIO;
}

int p9_end(void)
{
    int error = is_short ? -EIO : 0;

    mutex_unlock(&lock);
    return error;
}

int p9_finish(void)
{
    int error = p9_send(NULL), end = p9_end();

    return error != 0 ? error : end;
}

/* --- The beginning ---------------------------------------------------------------------------- */

/* lock held. */
static int agree_on_version(void)
{
    begin(P9_TVERSION, NO_TAG);
    p9_put(P9_MAX_BYTES, 4);
    p9_put_text(VERSION, sizeof(VERSION) - 1);
    int error = p9_send(NULL);
    if (error != 0)
        return error;
    uint64_t bytes = p9_take(4), text_bytes = p9_take(2);
    const char *text = p9_take_bytes(text_bytes);
    if (is_short || text_bytes != sizeof(VERSION) - 1 || memcmp(text, VERSION, text_bytes) != 0 ||
        bytes < LEAST_BYTES)
        return -EPROTO;
    max_bytes = bytes < P9_MAX_BYTES ? bytes : P9_MAX_BYTES;
    return 0;
}

/* lock held. As root, whatever the host makes of that. */
static int attach(void)
{
    begin(P9_TATTACH, TAG);
    p9_put(ROOT_FID, 4);
    p9_put(NO_FID, 4);
    p9_put_text("root", 4);
    p9_put_text("", 0);
    p9_put(0, 4);
    return p9_send(NULL);
}

int p9_connect(uint32_t *out_root)
{
    if (p9_device() == NULL)
        return -ENODEV;
    mutex_lock(&lock);
    if (!is_connected && refusal == 0) {
        refusal = agree_on_version();
        if (refusal == 0)
            refusal = attach();
        is_connected = refusal == 0;
        if (!is_connected)
            log_error("9p: the host does not share its folder: error %d", -refusal);
    }
    mutex_unlock(&lock);
    *out_root = ROOT_FID;
    return refusal;
}
