/*
 * What arrives from the network: lwIP with our configuration (net/lwipopts.h), behind net/device.c.
 * The input is a program: frames as they come, and packets with right addresses, ports and sequence
 * numbers whose rest is the input's (TCP, UDP, DHCP's and DNS's answers, ICMP, fragments, IPv6);
 * time that passes; an application that sends. An assertion of lwIP's is a failure.
 */
#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>

#include "kernel/netdev.h"
#include "net/core.h"
#include "net/device.h"
#include "net/hooks.h"
#include "pv/pv.h"
#include "tests/fuzz/host/fuzz.h"

#define FRAME_MAX 1514
#define MAX_IN_FLIGHT 8
#define LISTEN_PORT 80
#define ECHO_PORT 7

static struct fuzz_input *in;
static struct netdev netdev;
static struct netif *netif;
static u32_t now_ms;
static uint64_t random_counter;
static void *in_flight[MAX_IN_FLIGHT];
static unsigned nr_in_flight, sum;
static uint16_t dns_port, dns_id;
static uint32_t dhcp_xid;

/* --- What lwIP is configured with ----------------------------------------------------------------
 */

struct pv_boot pv_boot = {.nr_pages = 4096};

void net_assertion_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "lwIP: %s (%s:%d)\n", what, file, line);
    abort();
}

void *net_memory_alloc(size_t bytes)
{
    return bytes > 1ul << 20 ? NULL : malloc(bytes);
}

void *net_memory_alloc_zeroed(size_t count, size_t bytes)
{
    return calloc(count, bytes);
}

void net_memory_free(void *memory)
{
    free(memory);
}

uint32_t net_random(void)
{
    return (uint32_t)(++random_counter * 0x9e3779b97f4a7c15ull >> 32);
}

u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port)
{
    (void)local_ip, (void)local_port, (void)remote_ip, (void)remote_port;
    return net_random();
}

u32_t sys_now(void)
{
    return now_ms;
}

void net_wake(void) {}

void net_unreachable_ip4(const struct pbuf *p)
{
    (void)p;
}

void net_unreachable_ip6(const struct pbuf *p, struct netif *from)
{
    (void)p, (void)from;
}

const ip6_addr_t *net_ip6_gateway(struct netif *of, const ip6_addr_t *destination)
{
    (void)of, (void)destination;
    return NULL;
}

/* --- The device
 * ------------------------------------------------------------------------------------- */

struct netdev *netdev_first(void)
{
    return &netdev;
}

struct netdev *netdev_next(struct netdev *dev)
{
    (void)dev;
    return NULL;
}

void netdev_attach(struct netdev *dev, const struct netdev_stack *stack, void *data)
{
    dev->stack_data = data;
    dev->stack = stack;
}

static void finish_sent(void)
{
    while (nr_in_flight)
        netdev.stack->transmitted(&netdev, in_flight[--nr_in_flight]);
}

/* All that is sent can be read; of queries, an answer needs to know what they said. */
static int transmit(struct netdev *dev, const struct netdev_tx *packet)
{
    uint8_t head[64] = {0};
    size_t have = 0;

    (void)dev;
    FUZZ_CHECK(packet->nr_fragments >= 1 && packet->nr_fragments <= NETDEV_MAX_FRAGMENTS);
    for (unsigned i = 0; i < packet->nr_fragments; i++) {
        const uint8_t *bytes = packet->fragments[i].data;

        for (size_t at = 0; at < packet->fragments[i].bytes; at++) {
            sum += bytes[at];
            if (have < sizeof(head))
                head[have++] = bytes[at];
        }
    }
    if (head[12] == 8 && head[13] == 0 && head[23] == IP_PROTO_UDP && head[36] == 0) {
        if (head[37] == 53) {
            dns_port = (uint16_t)(head[34] << 8 | head[35]);
            dns_id = (uint16_t)(head[42] << 8 | head[43]);
        }
        if (head[37] == 67)
            memcpy(&dhcp_xid, head + 46, sizeof(dhcp_xid));
    }
    if (nr_in_flight == MAX_IN_FLIGHT)
        return -11; /* EAGAIN: the ring is full */
    in_flight[nr_in_flight++] = packet->cookie;
    return 0;
}

static void kick(struct netdev *dev)
{
    (void)dev;
}

static void check(struct netdev *dev)
{
    (void)dev;
}

static unsigned poll(struct netdev *dev, unsigned budget)
{
    (void)dev, (void)budget;
    finish_sent();
    return 0;
}

static bool listen_again(struct netdev *dev)
{
    (void)dev;
    return true;
}

static void free_buffer(struct netdev *dev, struct netdev_buffer *buffer)
{
    (void)dev;
    free(buffer->data);
    free(buffer);
}

static const struct netdev_ops ops = {.transmit = transmit,
                                      .kick = kick,
                                      .check = check,
                                      .poll = poll,
                                      .listen = listen_again,
                                      .free_buffer = free_buffer};

/* A buffer of its own for each piece, of just the size that a driver promises. */
static struct netdev_buffer *buffer_of(const uint8_t *bytes, size_t count)
{
    struct netdev_buffer *b = aligned_alloc(16, (sizeof(*b) + 15) & -16ul);

    *b = (struct netdev_buffer){.data = calloc(1, count + NETDEV_TAIL_BYTES),
                                .bytes = (uint32_t)count};
    memcpy(b->data, bytes, count);
    return b;
}

static void arrive(const uint8_t *frame, size_t bytes, bool is_good)
{
    size_t first = bytes > 200 && (frame[bytes - 1] & 1) ? bytes / 2 : bytes;
    struct netdev_rx packet = {buffer_of(frame, first), bytes, is_good};

    if (first < bytes)
        packet.first->next = buffer_of(frame + first, bytes - first);
    netdev.stack->receive(&netdev, &packet);
    net_device_flush();
}

/* --- Packets
 * ------------------------------------------------------------------------------------------ */

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

/* Ethernet and IPv4 headers before `bytes` of payload, at frame + 34. */
static void arrive_ip4(uint8_t *frame, uint8_t protocol, size_t bytes, unsigned fragment)
{
    memcpy(frame, netdev.mac, 6);
    memcpy(frame + 6, "\x02\0\0\0\0\1\x08\0\x45", 9);
    frame[15] = 0;
    put16(frame + 16, (unsigned)(20 + bytes));
    put16(frame + 18, 77);
    put16(frame + 20, fragment);
    frame[22] = 64, frame[23] = protocol;
    memcpy(frame + 26, "\x0a\0\2\2\x0a\0\2\x0f", 8);
    arrive(frame, 34 + bytes, true);
}

static size_t take_rest(uint8_t *to, size_t room)
{
    size_t bytes = fuzz_u16(in) % (room < 600 ? room : 600);

    if (bytes > fuzz_left(in))
        bytes = fuzz_left(in);
    fuzz_take(in, to, bytes);
    return bytes;
}

/* A segment for the first connection there is, or for the port where one is waited for. */
static void arrive_tcp(uint8_t *frame)
{
    const struct tcp_pcb *pcb = tcp_active_pcbs ? tcp_active_pcbs : tcp_tw_pcbs;
    uint8_t *tcp = frame + 34, flags = fuzz_u8(in), shift = fuzz_u8(in), options = fuzz_u8(in) % 11;
    uint32_t sequence = pcb ? pcb->rcv_nxt : 1000, ack = pcb ? pcb->snd_nxt : 0;

    if (flags & 0x80)
        pcb = NULL;
    put16(tcp, pcb ? pcb->remote_port : 4000 + (shift & 3));
    put16(tcp + 2, pcb ? pcb->local_port : LISTEN_PORT);
    put32(tcp + 4, shift & 0x40 ? sequence + (uint32_t)((int8_t)shift * 40) : sequence);
    put32(tcp + 8, shift & 0x20 ? ack - (uint32_t)(shift & 15) * 100 : ack);
    tcp[12] = (uint8_t)((5 + options) << 4);
    tcp[13] = flags & 0x3f;
    put16(tcp + 14, shift & 0x10 ? fuzz_u16(in) : 60000);
    put16(tcp + 18, 0);
    fuzz_take(in, tcp + 20, options * 4ul);
    arrive_ip4(frame, IP_PROTO_TCP, 20 + options * 4ul + take_rest(tcp + 20 + options * 4, 1300),
               0);
}

static void arrive_udp(uint8_t *frame, unsigned from, unsigned to, size_t fixed)
{
    uint8_t *udp = frame + 34;
    size_t bytes = fixed + take_rest(udp + 8 + fixed, 1400 - fixed);

    put16(udp, from);
    put16(udp + 2, to);
    put16(udp + 4, (unsigned)(8 + bytes));
    put16(udp + 6, 0);
    arrive_ip4(frame, IP_PROTO_UDP, 8 + bytes, 0);
}

static void arrive_dns(uint8_t *frame)
{
    uint8_t *dns = frame + 42;

    put16(dns, dns_id);
    memcpy(dns + 2, "\x81\x80\0\1\0\1\0\0\0\0\1a\2bc\0\0\1\0\1", 20); /* a question for a.bc */
    arrive_udp(frame, 53, dns_port, 22);
}

static void arrive_dhcp(uint8_t *frame)
{
    uint8_t *dhcp = frame + 42;

    memset(dhcp, 0, 240);
    memcpy(dhcp, "\2\1\6\0", 4);
    memcpy(dhcp + 4, &dhcp_xid, 4);
    memcpy(dhcp + 16, "\x0a\0\2\x0f", 4);
    memcpy(dhcp + 28, netdev.mac, 6);
    memcpy(dhcp + 236, "\x63\x82\x53\x63", 4);
    arrive_udp(frame, 67, 68, 240);
}

static void arrive_ip6(uint8_t *frame)
{
    uint8_t next = fuzz_u8(in);
    size_t bytes = take_rest(frame + 54, 1400);

    memcpy(frame, netdev.mac, 6);
    memcpy(frame + 6, "\x02\0\0\0\0\1\x86\xdd\x60\0\0\0", 12);
    put16(frame + 18, (unsigned)bytes);
    frame[20] = next & 0x80 ? IP6_NEXTH_ICMP6 : next;
    frame[21] = 255;
    memcpy(frame + 22, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    memcpy(frame + 38, netif_ip6_addr(netif, 0)->addr, 16);
    arrive(frame, 54 + bytes, true);
}

/* --- The application
 * ------------------------------------------------------------------------------------ */

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    (void)arg, (void)error;
    if (!p)
        return tcp_close(pcb);
    for (const struct pbuf *q = p; q; q = q->next)
        for (u16_t i = 0; i < q->len; i++)
            sum += ((const uint8_t *)q->payload)[i];
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
    (void)arg, (void)error;
    if (pcb)
        tcp_recv(pcb, on_received);
    return ERR_OK;
}

static void echo(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    (void)arg;
    udp_sendto(pcb, p, from, port);
    pbuf_free(p);
}

static void on_found(const char *name, const ip_addr_t *address, void *arg)
{
    (void)name, (void)address, (void)arg;
}

static void application_step(void)
{
    struct tcp_pcb *pcb = tcp_active_pcbs;
    uint8_t what = fuzz_u8(in);
    ip_addr_t address;

    if (what & 1) {
        dns_gethostbyname("a.bc", &address, on_found, NULL);
    } else if (what & 2) {
        pcb = tcp_new();
        IP_ADDR4(&address, 10, 0, 2, 2);
        if (pcb && tcp_connect(pcb, &address, 5000, on_accepted) == ERR_OK)
            tcp_recv(pcb, on_received);
        else if (pcb)
            tcp_abort(pcb);
    } else if (pcb && pcb->state == ESTABLISHED) {
        static const char data[3000];

        tcp_write(pcb, data, (u16_t)(1 + what * 10), what & 4 ? TCP_WRITE_FLAG_COPY : 0);
        tcp_output(pcb);
    }
    net_device_flush();
}

/* --- The input
 * -------------------------------------------------------------------------------------------- */

static void begin(void)
{
    struct udp_pcb *udp;
    struct tcp_pcb *tcp;
    ip_addr_t dns;

    memcpy(netdev.mac, "\x52\x54\0\x12\x34\x56", 6);
    strcpy(netdev.name, "eth0");
    netdev.mtu_bytes = 1500;
    netdev.features = NETDEV_TX_CHECKSUM | NETDEV_TX_TSO4 | NETDEV_TX_TSO6 | NETDEV_RX_CHECKSUM;
    netdev.link_is_up = true;
    netdev.ops = &ops;
    lwip_init();
    FUZZ_CHECK(net_device_init() == 0);
    netif = net_device_netif("eth0");
    /* The input need not know how to make them right. */
    netif->chksum_flags &=
        (u16_t) ~(NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_ICMP | NETIF_CHECKSUM_CHECK_ICMP6);
    netif_set_default(netif);
    netif_create_ip6_linklocal_address(netif, 1);
    netif_set_ip6_autoconfig_enabled(netif, 1);
    IP_ADDR4(&dns, 10, 0, 2, 3);
    dns_setserver(0, &dns);
    udp = udp_new();
    udp_bind(udp, IP_ANY_TYPE, ECHO_PORT);
    udp_recv(udp, echo, NULL);
    tcp = tcp_new();
    tcp_bind(tcp, IP_ANY_TYPE, LISTEN_PORT);
    tcp_accept(tcp_listen(tcp), on_accepted);
}

static void set_up(bool with_dhcp)
{
    ip4_addr_t address = {PP_HTONL(0x0a00020f)}, mask = {PP_HTONL(0xffffff00)},
               gateway = {PP_HTONL(0x0a000202)};

    random_counter = 0;
    dns_port = dns_id = 0;
    netif_set_up(netif);
    if (with_dhcp) {
        dhcp_start(netif);
    } else {
        netif_set_addr(netif, &address, &mask, &gateway);
        /* The peer tells its address, so that answers go out. */
        uint8_t arp[42] = "\x52\x54\0\x12\x34\x56\x02\0\0\0\0\1\x08\x06\0\1\x08\0\6\4\0\1"
                          "\x02\0\0\0\0\1\x0a\0\2\2\0\0\0\0\0\0\x0a\0\2";
        arp[41] = 0x0f;
        arrive(arp, sizeof(arp), false);
    }
    net_device_flush();
}

/* As begin() left it. */
static void tear_down(void)
{
    ip4_addr_t none = {0};

    while (tcp_active_pcbs)
        tcp_abort(tcp_active_pcbs);
    while (tcp_tw_pcbs)
        tcp_abort(tcp_tw_pcbs);
    while (tcp_bound_pcbs)
        tcp_abort(tcp_bound_pcbs);
    if (netif_dhcp_data(netif)) {
        dhcp_stop(netif);
        dhcp_cleanup(netif);
    }
    netif_set_addr(netif, &none, &none, &none);
    netif_set_down(netif);
    for (unsigned i = 0; i < 80; i++) {
        dns_tmr();
        ip_reass_tmr();
        ip6_reass_tmr();
    }
    net_device_flush();
    finish_sent();
    net_device_poll();
    finish_sent();
}

static void step(uint8_t what)
{
    static uint8_t frame[2048];
    size_t bytes;

    memset(frame, 0, sizeof(frame));
    switch (what % 9) {
    case 0:
        bytes = take_rest(frame, FRAME_MAX);
        arrive(frame, bytes, what & 0x80);
        break;
    case 1:
    case 2:
        arrive_tcp(frame);
        break;
    case 3:
        arrive_udp(frame, fuzz_u16(in), what & 0x80 ? fuzz_u16(in) : ECHO_PORT, 0);
        break;
    case 4:
        arrive_dns(frame);
        break;
    case 5:
        arrive_dhcp(frame);
        break;
    case 6:
        bytes = take_rest(frame + 34, 1400);
        arrive_ip4(frame,
                   what & 0x80   ? IP_PROTO_ICMP
                   : what & 0x40 ? IP_PROTO_IGMP
                                 : fuzz_u8(in),
                   bytes, what & 0x20 ? fuzz_u16(in) & 0x3fff : 0);
        break;
    case 7:
        arrive_ip6(frame);
        break;
    default:
        if (what & 0x80)
            application_step();
        now_ms += fuzz_u16(in);
        sys_check_timeouts();
        net_device_flush();
        net_device_poll();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = {data, data + bytes};

    in = &input;
    if (!netif)
        begin();
    set_up(fuzz_u8(in) & 1);
    for (unsigned steps = 0; fuzz_left(in) && steps < 200; steps++)
        step(fuzz_u8(in));
    tear_down();
    return 0;
}
