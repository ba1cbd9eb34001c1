/*
 * See event.h. Channels lead from the hypervisor (VIRQs), from devices (pirqs) or from the domain
 * itself (IPIs, and inter-domain channels with both ends here) to the domain's one vCPU.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/pirq.h"
#include "pv/hypervisor/trap.h"
#include "pv/hypervisor/work.h"

#define NR_CHANNELS 1024
#define NR_VIRQS_HERE 24 /* xen.h: NR_VIRQS */

struct channel {
    uint8_t status; /* EVTCHNSTAT_* */
    uint8_t virq;
    union {
        uint16_t remote_port;
        uint16_t pirq;
    };
};

static struct channel channels[NR_CHANNELS];
static uint16_t virq_port[NR_VIRQS_HERE];
/* No channel at or above it was ever in use. */
static unsigned int first_unused = 1;

int event_is_port(uint64_t port)
{
    return port > 0 && port < NR_CHANNELS;
}

static int is_open(uint64_t port)
{
    return event_is_port(port) && channels[port].status != EVTCHNSTAT_closed;
}

int event_is_pending(unsigned int port)
{
    return domain.shared_info->evtchn_pending[port / 64] >> port % 64 & 1;
}

/* The guest may change these words on another CPU at the same time: atomic, as in Xen. */
static int test_and_set(xen_ulong_t *word, unsigned int bit)
{
    uint64_t mask = 1ul << bit % 64;

    return (__atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST) & mask) != 0; /* one BTS */
}

static void mark_vcpu_pending(unsigned int port)
{
    struct vcpu_info *info = this_cpu()->vcpu_info;

    if (!test_and_set(&info->evtchn_pending_sel, port / 64))
        info->evtchn_upcall_pending = 1;
}

void event_send_port(unsigned int port)
{
    struct shared_info *shared = domain.shared_info;

    if (!test_and_set(&shared->evtchn_pending[port / 64], port % 64) &&
        !(shared->evtchn_mask[port / 64] >> port % 64 & 1))
        mark_vcpu_pending(port);
}

void event_send_virq(unsigned int virq)
{
    if (virq_port[virq])
        event_send_port(virq_port[virq]);
}

static int64_t allocate(uint8_t status)
{
    unsigned int port = 1;

    while (port < first_unused && channels[port].status != EVTCHNSTAT_closed)
        port++;
    work.left -= port / 8;
    if (port == NR_CHANNELS)
        return -ENOSPC;
    if (port == first_unused)
        first_unused++;
    channels[port] = (struct channel){.status = status};
    return port;
}

static int64_t close_port(evtchn_port_t port)
{
    if (!is_open(port))
        return -EINVAL;

    struct channel *channel = &channels[port];

    if (channel->status == EVTCHNSTAT_virq)
        virq_port[channel->virq] = 0;
    if (channel->status == EVTCHNSTAT_pirq)
        pirq_unbind(channel->pirq);
    if (channel->status == EVTCHNSTAT_interdomain)
        channels[channel->remote_port].status = EVTCHNSTAT_unbound;
    channel->status = EVTCHNSTAT_closed;
    __atomic_fetch_and(&domain.shared_info->evtchn_pending[port / 64], ~(1ul << port % 64),
                       __ATOMIC_SEQ_CST);
    return 0;
}

/* xen.h: all VIRQs but these are per-domain or global, and bound on vCPU 0 at first. */
static int is_global_virq(uint32_t virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

static int64_t bind_virq(struct evtchn_bind_virq *op)
{
    if (op->virq >= NR_VIRQS_HERE)
        return -EINVAL;
    if (op->vcpu != 0)
        return is_global_virq(op->virq) ? -EINVAL : -ENOENT;
    if (virq_port[op->virq])
        return -EEXIST;

    int64_t port = allocate(EVTCHNSTAT_virq);

    if (port < 0)
        return port;
    channels[port].virq = (uint8_t)op->virq;
    virq_port[op->virq] = (uint16_t)port;
    op->port = (evtchn_port_t)port;

    int64_t error = op->virq == VIRQ_CONSOLE ? console_enable_interrupt() : 0;

    if (error)
        close_port(op->port);
    return error;
}

static int64_t bind_pirq(struct evtchn_bind_pirq *op)
{
    int64_t port = allocate(EVTCHNSTAT_pirq);

    if (port < 0)
        return port;

    int64_t error = pirq_bind(op->pirq, (unsigned int)port);

    if (error) {
        channels[port].status = EVTCHNSTAT_closed;
        return error;
    }
    channels[port].pirq = (uint16_t)op->pirq;
    op->port = (evtchn_port_t)port;
    return 0;
}

static int64_t bind_ipi(struct evtchn_bind_ipi *op)
{
    if (op->vcpu != 0)
        return -ENOENT;

    int64_t port = allocate(EVTCHNSTAT_ipi);

    if (port < 0)
        return port;
    op->port = (evtchn_port_t)port;
    return 0;
}

static int64_t alloc_unbound(struct evtchn_alloc_unbound *op)
{
    if (!domid_is_self(op->dom))
        return -ESRCH;

    int64_t port = allocate(EVTCHNSTAT_unbound);

    if (port < 0)
        return port;
    op->port = (evtchn_port_t)port;
    return 0;
}

static int64_t bind_interdomain(struct evtchn_bind_interdomain *op)
{
    if (!domid_is_self(op->remote_dom))
        return -ESRCH;
    if (!event_is_port(op->remote_port) || channels[op->remote_port].status != EVTCHNSTAT_unbound)
        return -EINVAL;

    int64_t port = allocate(EVTCHNSTAT_interdomain);

    if (port < 0)
        return port;
    channels[port].remote_port = (uint16_t)op->remote_port;
    channels[op->remote_port].status = EVTCHNSTAT_interdomain;
    channels[op->remote_port].remote_port = (uint16_t)port;
    op->local_port = (evtchn_port_t)port;
    /* Xen: the local end may have missed an event while it was unbound. */
    event_send_port((unsigned int)port);
    return 0;
}

static int64_t send(evtchn_port_t port)
{
    if (!event_is_port(port))
        return -EINVAL;
    switch (channels[port].status) {
    case EVTCHNSTAT_interdomain:
        event_send_port(channels[port].remote_port);
        return 0;
    case EVTCHNSTAT_ipi:
        event_send_port(port);
        return 0;
    case EVTCHNSTAT_unbound: /* silently dropped, as in Xen */
        return 0;
    default:
        return -EINVAL;
    }
}

static int64_t status(struct evtchn_status *op)
{
    if (!domid_is_self(op->dom))
        return -ESRCH;
    if (!event_is_port(op->port))
        return -EINVAL;

    const struct channel *channel = &channels[op->port];

    op->status = channel->status;
    op->vcpu = 0;
    if (channel->status == EVTCHNSTAT_virq)
        op->u.virq = channel->virq;
    if (channel->status == EVTCHNSTAT_pirq)
        op->u.pirq = channel->pirq;
    if (channel->status == EVTCHNSTAT_unbound)
        op->u.unbound.dom = DOMID_SELF;
    if (channel->status == EVTCHNSTAT_interdomain) {
        op->u.interdomain.dom = DOMID_SELF;
        op->u.interdomain.port = channel->remote_port;
    }
    return 0;
}

static int64_t unmask(evtchn_port_t port)
{
    if (!event_is_port(port))
        return -EINVAL;

    uint64_t bit = 1ul << port % 64;

    if ((__atomic_fetch_and(&domain.shared_info->evtchn_mask[port / 64], ~bit, __ATOMIC_SEQ_CST) &
         bit) &&
        event_is_pending(port))
        mark_vcpu_pending(port);
    return 0;
}

static int64_t bind_vcpu(const struct evtchn_bind_vcpu *op)
{
    if (op->vcpu != 0)
        return -ENOENT;
    if (!is_open(op->port))
        return -EINVAL;
    switch (channels[op->port].status) {
    case EVTCHNSTAT_virq:
        return is_global_virq(channels[op->port].virq) ? 0 : -EINVAL;
    case EVTCHNSTAT_ipi:
        return -EINVAL;
    default:
        return 0;
    }
}

__attribute__((noinline)) static int64_t reset(const struct evtchn_reset *op)
{
    if (!domid_is_self(op->dom))
        return -ESRCH;
    for (unsigned int port = 1; port < first_unused; port++)
        if (is_open(port))
            close_port(port);
    work.left -= first_unused;
    return 0;
}

int64_t hypercall_event_channel_op(uint64_t command, uint64_t arg)
{
    union {
        struct evtchn_bind_virq bind_virq;
        struct evtchn_bind_pirq bind_pirq;
        struct evtchn_bind_ipi bind_ipi;
        struct evtchn_alloc_unbound alloc_unbound;
        struct evtchn_bind_interdomain bind_interdomain;
        struct evtchn_close close;
        struct evtchn_send send;
        struct evtchn_status status;
        struct evtchn_unmask unmask;
        struct evtchn_bind_vcpu bind_vcpu;
        struct evtchn_reset reset;
    } op;
    static const uint8_t op_bytes[] = {
        [EVTCHNOP_bind_virq] = sizeof(op.bind_virq),
        [EVTCHNOP_bind_pirq] = sizeof(op.bind_pirq),
        [EVTCHNOP_bind_ipi] = sizeof(op.bind_ipi),
        [EVTCHNOP_alloc_unbound] = sizeof(op.alloc_unbound),
        [EVTCHNOP_bind_interdomain] = sizeof(op.bind_interdomain),
        [EVTCHNOP_close] = sizeof(op.close),
        [EVTCHNOP_send] = sizeof(op.send),
        [EVTCHNOP_status] = sizeof(op.status),
        [EVTCHNOP_unmask] = sizeof(op.unmask),
        [EVTCHNOP_bind_vcpu] = sizeof(op.bind_vcpu),
        [EVTCHNOP_reset] = sizeof(op.reset),
    };
    int64_t result;

    command = (uint32_t)command;
    if (command >= sizeof(op_bytes) || op_bytes[command] == 0)
        return -ENOSYS;
    if (guest_read(&op, arg, op_bytes[command]))
        return -EFAULT;
    switch (command) {
    case EVTCHNOP_bind_virq:
        result = bind_virq(&op.bind_virq);
        break;
    case EVTCHNOP_bind_pirq:
        result = bind_pirq(&op.bind_pirq);
        break;
    case EVTCHNOP_bind_ipi:
        result = bind_ipi(&op.bind_ipi);
        break;
    case EVTCHNOP_alloc_unbound:
        result = alloc_unbound(&op.alloc_unbound);
        break;
    case EVTCHNOP_bind_interdomain:
        result = bind_interdomain(&op.bind_interdomain);
        break;
    case EVTCHNOP_status:
        result = status(&op.status);
        break;
    case EVTCHNOP_close:
        return close_port(op.close.port);
    case EVTCHNOP_send:
        return send(op.send.port);
    case EVTCHNOP_unmask:
        return unmask(op.unmask.port);
    case EVTCHNOP_bind_vcpu:
        return bind_vcpu(&op.bind_vcpu);
    case EVTCHNOP_reset:
        return reset(&op.reset);
    default:
        return -ENOSYS;
    }
    if (result == 0 && guest_write(arg, &op, op_bytes[command]))
        return -EFAULT;
    return result;
}

void event_deliver(void)
{
    if (this_vcpu()->event_callback)
        trap_enter_event(guest_frame(), this_vcpu()->event_callback);
}
