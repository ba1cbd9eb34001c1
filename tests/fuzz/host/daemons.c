/*
 * Xen's daemons that make no sense: the rings of xenstored and xenconsoled (pv/store.c, target.c,
 * console_ring.c). They belong to the initial domain, which can end us, but need not be right. The
 * input is a program of what they and we do in turn.
 */
#include "pv/domu.h"
#include "pv/store.h"

#include <xen/io/console.h>

#include "tests/fuzz/host/fuzz.h"

/* Their static state is reset for each input. */
#include "pv/target.c"

#define PORT 3
#define MAX_WAITS 20

static struct fuzz_input *in;
static struct xenstore_domain_interface store;
static struct xencons_interface console;
static unsigned nr_waits;
static uint64_t now_ns;

void *pv_daemon_page(uint64_t mfn)
{
    return mfn == 1 ? (void *)&store : (void *)&console;
}

void pv_daemon_notify(event_port_t port)
{
    FUZZ_CHECK(port == PORT);
}

uint64_t pv_clock_monotonic_ns(void)
{
    return now_ns;
}

uint8_t pv_shared_page[PAGE_SIZE];

void pv_event_replay(void) {}

int pv_event_bind_port(event_port_t theirs, event_handler_t *fn, void *arg, event_port_t *port)
{
    (void)fn, (void)arg;
    *port = theirs;
    return 0;
}

/* --- The daemons ------------------------------------------------------------------------------ */

static void say(const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store.rsp[MASK_XENSTORE_IDX(store.rsp_prod + i)] = ((const char *)bytes)[i];
    store.rsp_prod += (uint32_t)count;
}

static void message(void)
{
    static const uint32_t types[] = {XS_READ, XS_WRITE, XS_WATCH, XS_WATCH_EVENT, XS_ERROR};
    char payload[XENSTORE_RING_SIZE];
    struct xsd_sockmsg header = {
        .type = types[fuzz_u8(in) % 5], .req_id = types[fuzz_u8(in) % 5], .len = fuzz_u8(in) % 64};

    fuzz_take(in, payload, header.len);
    say(&header, sizeof(header));
    say(payload, header.len);
}

static void daemon_step(uint8_t what)
{
    uint8_t some[64];

    switch (what & 7) {
    case 0:
        message();
        break;
    case 1:
        fuzz_take(in, some, sizeof(some));
        say(some, fuzz_u8(in) % sizeof(some));
        break;
    case 2:
        store.req_cons = store.req_prod;
        console.out_cons = console.out_prod;
        break;
    case 3:
        store.rsp_prod = fuzz_u32(in);
        break;
    case 4:
        store.req_cons = fuzz_u32(in);
        break;
    case 5:
        console.in_prod += fuzz_u16(in);
        break;
    case 6:
        console.out_cons = fuzz_u32(in);
        break;
    default: /* both write to what is ours, too */
        store.rsp_cons = store.req_prod = fuzz_u32(in);
        console.in_cons = console.out_prod = fuzz_u32(in);
    }
}

/* What waits goes on as time goes by; what waits for ever is given up by the one that ends. */
void pv_daemon_wait(event_port_t port)
{
    FUZZ_CHECK(port == PORT);
    if (fuzz_left(in) && ++nr_waits < MAX_WAITS)
        daemon_step(fuzz_u8(in));
    else
        console.out_cons = console.out_prod;
    now_ns += 10000000000;
}

/* --- Ourselves -------------------------------------------------------------------------------- */

static void step(uint8_t what)
{
    struct xsd_sockmsg header;
    char buffer[256];
    uint64_t pages;
    size_t room = fuzz_u8(in);

    nr_waits = 0;
    switch (what & 7) {
    case 0:
        pv_target_pages(&pages);
        break;
    case 1:
        pv_store_write("control/shutdown", "");
        break;
    case 2:
        if (pv_store_take(&header, buffer, room) == 0)
            FUZZ_CHECK(header.len <= XENSTORE_RING_SIZE);
        break;
    case 3:
        pv_store_send(XS_READ, "memory/target", buffer, 0);
        break;
    case 4:
        pv_console_ring_write("some text of no great length, more than once", room % 45);
        break;
    case 5:
        pv_console_ring_drain();
        break;
    default:
        FUZZ_CHECK(pv_console_ring_read(buffer, room) <= (int)room);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};
    struct start_info info = {.store_mfn = 1, .store_evtchn = PORT};

    info.console.domU.mfn = 2;
    info.console.domU.evtchn = PORT;
    in = &input;
    memset(&store, 0, sizeof(store));
    memset(&console, 0, sizeof(console));
    is_stale = is_asked = false;
    now_ns = 0;
    pv_store_init(&info);
    pv_console_ring_init(&info);
    pv_target_watch(NULL, NULL);
    while (fuzz_left(in)) {
        uint8_t what = fuzz_u8(in);

        if (what & 0x80)
            daemon_step(what);
        else
            step(what);
    }
    return 0;
}
